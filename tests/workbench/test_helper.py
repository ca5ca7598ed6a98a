"""Programs that run beside the server."""

import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from mycelium_workbench.helper import end

pytestmark = pytest.mark.anyio


async def test_one_that_is_still_there_is_ended() -> None:
    process = await anyio.open_process(["sleep", "60"])
    end(process)
    assert await process.wait() == -9
    end(process)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
async def test_one_that_has_just_ended_keeps_its_status(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(30):
        process = await anyio.open_process(["sh", "-c", "exit 3"])
        # Without a pause, so that asyncio has not yet heard of the end.
        with suppress(OSError):
            while ") Z" not in Path(f"/proc/{process.pid}/stat").read_text():
                pass
        end(process)
        assert await process.wait() == 3
        await process.aclose()
    assert not caplog.records
