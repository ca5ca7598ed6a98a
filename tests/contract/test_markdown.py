"""The markdown backend keeps the contract, through two openings of one folder wherever two agents meet."""

from pathlib import Path

from mycelium.backend import Backend
from mycelium_backends.markdown import open_backend
from tests.contract.suite import BackendContract, DurableContract
from tests.support.clock import FakeClock


class TestMarkdown(BackendContract, DurableContract):
    async def open(self, place: Path, clock: FakeClock) -> Backend:
        return await open_backend(f"markdown:{place}/team", clock)
