"""What tests do to the files of a markdown store, the way people do it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from mycelium import Mycelium

SEED_TASK = """---
id: task-123
type: train-model
status: running
assigned_to: ai-engineer
created: 2025-10-17T00:00:00Z
---

# Task: train-model

**Type**: train-model
**Status**: running
**Assigned To**: ai-engineer

## Dependencies

- task-122 (prepare-dataset) - COMPLETED ✅

## Payload

{
  "dataset": "alice-voice",
  "config": "configs/lora.yaml",
  "epochs": 3
}

## Progress

- [x] Load dataset
- [x] Initialize model
- [ ] Training (epoch 1/3)
- [ ] Validation
- [ ] Save checkpoint

## Result

_In progress..._
"""


@asynccontextmanager
async def opened(folder: Path, agent: str = "ada") -> AsyncGenerator[Mycelium]:
    """A client of the store in this folder."""
    async with Mycelium.open(f"markdown:{folder}", agent=agent, background=False) as m:
        yield m


def task_file(folder: Path, id: str) -> Path:
    return folder / f"task-{id}.md"


def edit(file: Path, old: str, new: str) -> None:
    """Replace a piece of text that is there, as an editor does."""
    text = file.read_text()
    assert old in text, text
    file.write_text(text.replace(old, new, 1))
