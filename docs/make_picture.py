"""Draw the README's picture: a moment of the live view, amid a real run of the demo.

    .venv/bin/python docs/make_picture.py

writes docs/demo.svg, which loads nothing from anywhere.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import Final

import anyio
from rich.console import Console

from mycelium import Mycelium
from mycelium.models import Event
from mycelium_server.demo.crew import NAMES
from mycelium_server.demo.frame import Frame
from mycelium_server.demo.place import target_at
from mycelium_server.demo.run import WATCHABLE, WORKER, run_demo
from mycelium_server.demo.state import State

PICTURE: Final = Path(__file__).with_name("demo.svg")
AGENTS: Final = 3
FONTS: Final = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
"""What would fetch fonts from elsewhere; the fallback is the reader's own monospace."""


async def main() -> None:
    """Run the demo, and draw the first moment after a third of it when every agent and the worker are at work."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder, 'picture.db')}"
        async with Mycelium.open(url, background=False) as m, anyio.create_task_group() as tasks:
            tasks.start_soon(_run, url, Path(folder, "report.md"))
            await anyio.Path(PICTURE).write_text(draw(await _halfway(m)), encoding="utf-8")


async def _run(url: str, report: Path) -> None:
    unseen = Console(file=io.StringIO())
    await run_demo(agents=AGENTS, backend=url, report=report, pace=WATCHABLE, console=unseen)


async def _halfway(m: Mycelium) -> Frame:
    """What the live view shows then: the same state, from the same events, drawn by the same code."""
    created = await _first_event(m, "workflow.created")
    workflow = await m.get_workflow(str(created.data["workflow_id"]))
    state = State.of(workflow, await m.get_tasks(workflow.tasks), NAMES[:AGENTS], WORKER)
    async for event in m.follow_events(after=0):
        state.apply(event)
        at_work = {task.agent for task in state.running()}
        if state.progress > 0.9 or (state.progress > 1 / 3 and len(at_work) == AGENTS + 1):
            title = f"Mycelium: {AGENTS} agents and a worker survey {target_at(None).name}"
            return Frame(title, state, (event.time - created.time).total_seconds())
    raise AssertionError("a log without end has ended")


async def _first_event(m: Mycelium, type: str) -> Event:
    async for event in m.follow_events(after=0):
        if event.type == type:
            return event
    raise AssertionError("a log without end has ended")


def draw(frame: Frame) -> str:
    """The frame as an SVG image that stands alone."""
    console = Console(record=True, width=104, height=34, file=io.StringIO(), force_terminal=True)
    console.print(frame)
    return FONTS.sub("", console.export_svg(title="mycelium demo", unique_id="mycelium-demo"))


if __name__ == "__main__":
    anyio.run(main)
