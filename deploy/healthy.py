"""Whether the worker in this container is well: exit code 0, or 1 with the reason.

A worker keeps the file that `MYCELIUM_WORKER_HEALTH_FILE` names up to date, and removes it when it ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Final

SILENT_AFTER: Final = 15.0
"""Seconds. The file is written every two."""


def complaint(file: Path, now: float) -> str | None:
    """What is wrong with the worker that writes this file."""
    try:
        said = json.loads(file.read_text())
        age, status = now - said["at"], said["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{file} tells nothing: {error}"
    if age > SILENT_AFTER:
        return f"silent for {age:.0f} seconds"
    return f"{status}: {said.get('sources')}" if status == "disconnected" else None


if __name__ == "__main__":
    sys.exit(complaint(Path(os.environ["MYCELIUM_WORKER_HEALTH_FILE"]), time.time()))
