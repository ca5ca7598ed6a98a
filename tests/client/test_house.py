"""The housekeeper's turn, as its log tells of it."""

import logging

import pytest

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium.client.house import House


async def test_a_housekeeper_whose_turn_went_to_another_says_so_and_warns_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Mycelium.open("memory:", agent="ada", background=False) as m:
        house = House(m.backend, "ada", system_clock)  # never elected, as one that was silent is not any more
        monkeypatch.setattr(house, "beat_is_due", lambda: True)
        with caplog.at_level(logging.INFO):
            await house.beat()
    assert [record.levelname for record in caplog.records if "keeps house now" in record.message] == ["INFO"]
