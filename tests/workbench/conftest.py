"""What the workbench's tests share."""

import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.support.inspector import Inspector, InspectorMissing, install_inspector
from tests.workbench.bench import Workbench, working
from tests.workbench.site import Site, site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that is worked in."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
async def bench(root: Path) -> AsyncGenerator[Workbench]:
    """A server on the folder, with its defaults."""
    async with working(root) as each:
        yield each


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Where the kernel gives no namespaces, tests of walls skip on a laptop and fail in CI."""
    tried = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], check=False, timeout=20)
    if tried.returncode != 0:
        message = "this system lets nobody make user namespaces"
        if os.environ.get("CI"):
            raise OSError(message)
        pytest.skip(message)


@pytest.fixture
def web() -> Generator[Site]:
    """Pages on loopback."""
    with site() as each:
        yield each


@pytest.fixture
def browser() -> None:
    """Where no browser is, its tests skip on a laptop and fail in CI."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("chromium is missing: scripts/install-servers installs it")
        pytest.skip("chromium is missing: scripts/install-servers installs it")


@pytest.fixture(scope="session")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Inspector:
    """The MCP Inspector; where it cannot be had, its tests skip on a laptop and fail in CI."""
    home: Path = tmp_path_factory.mktemp("home")
    try:
        return install_inspector(home)
    except InspectorMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
