"""What the server's tests share."""

import os
from pathlib import Path

import pytest

from tests.support.inspector import Inspector, InspectorMissing, install_inspector


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
