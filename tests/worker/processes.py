"""Where `mycelium worker` processes are started that do the tasks of a plugin."""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio

from tests.support.processes import PATIENCE
from tests.support.workers import WorkerProcess, environment, working
from tests.worker.plugin import install_plugin


class Ground:
    """A folder with a store, a plugin and files that tasks wait for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/team.db"
        plugin = install_plugin(folder / "plugin")
        self.env: Mapping[str, str] = {**environment(), "MYCELIUM_BACKEND": self.url, "PYTHONPATH": str(plugin)}

    def worker(self, *args: str, as_json: bool = True, **env: str) -> AbstractAsyncContextManager[WorkerProcess]:
        """A worker that is killed at the end of this context, if it is still there."""
        flags = ["--json"] if as_json else []
        return working(*flags, *args, env={**self.env, **env}, folder=self.folder)

    def waiting(self, name: str) -> dict[str, Any]:
        """The payload of a `wait` task."""
        return {"begun": str(self.folder / f"{name}.begun"), "until": str(self.folder / f"{name}.until")}

    async def has_begun(self, name: str) -> None:
        """Return when this `wait` task runs."""
        with anyio.fail_after(PATIENCE):
            await anyio.to_thread.run_sync(_appears, self.folder / f"{name}.begun", abandon_on_cancel=True)

    def let_end(self, name: str) -> None:
        """Let this `wait` task end."""
        (self.folder / f"{name}.until").touch()


def _appears(path: Path) -> None:
    """Wait for a file. Other processes have no better way to tell a test of their own beginning."""
    end = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
