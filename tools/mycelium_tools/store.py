"""Tools for the store as a whole."""

from __future__ import annotations

from mycelium import Mycelium
from mycelium_tools.lines import stats_lines
from mycelium_tools.records import stats_record
from mycelium_tools.registry import READS, tool
from mycelium_tools.reply import Reply


@tool(READS)
async def get_stats(m: Mycelium) -> Reply:
    """Counts by status, and which store this is."""
    stats = await m.get_stats()
    return Reply(stats_lines(stats), stats_record(stats))
