"""What every test gets."""

import pytest

from tests.support.clock import FakeClock


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop the project supports."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test advances it."""
    return FakeClock()
