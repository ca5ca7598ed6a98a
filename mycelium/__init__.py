"""Mycelium: tasks, presence, events and workflows that many agents share.

from mycelium import Mycelium

async with Mycelium.open("sqlite:///team.db", agent="ada") as m:
    task = await m.create_task("review", payload={"pull_request": 7})
"""

from mycelium.client import Mycelium
from mycelium.errors import MyceliumError

__all__ = ["Mycelium", "MyceliumError"]
