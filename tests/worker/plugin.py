"""Executors as another package brings them, installed for the processes that a test starts."""

from pathlib import Path
from textwrap import dedent

MODULE = """
    import asyncio
    import json
    import os
    import sys
    from pathlib import Path


    async def echo(attempt):
        return {"echo": attempt.task.payload.get("say"), "pid": os.getpid()}


    async def wait(attempt):
        '''Until the file that the payload names is there; tells of its beginning by another.'''
        Path(attempt.task.payload["begun"]).touch()
        while not Path(attempt.task.payload["until"]).exists():
            await asyncio.sleep(0.02)
        return {"pid": os.getpid()}


    async def leave(attempt):
        sys.exit(3)


    async def imported(attempt):
        return {"heavy": sorted({"mcp", "anthropic", "pika", "redis", "rich"} & set(sys.modules))}
"""
ENTRY_POINTS = """
    [mycelium.executors]
    echo = worker_plugin:echo
    wait = worker_plugin:wait
    leave = worker_plugin:leave
    imported = worker_plugin:imported
    broken = worker_plugin:nothing_of_this_name
"""


def install_plugin(folder: Path) -> Path:
    """Make a folder that Python takes for an installed package, once it is in its path."""
    info = folder / "worker_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: worker-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(dedent(ENTRY_POINTS))
    (folder / "worker_plugin.py").write_text(dedent(MODULE))
    return folder
