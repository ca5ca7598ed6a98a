"""What tools are offered as."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mycelium_worker.servers.names import ToolNames

TOOLS = st.sets(st.tuples(st.sampled_from(["a", "b", "a__b", "x" * 64]), st.text(min_size=1) | st.sampled_from("bc")))


def test_a_name_is_kept_where_it_is_the_only_one() -> None:
    assert ToolNames().given([("a", "read"), ("b", "write")]) == {("a", "read"): "read", ("b", "write"): "write"}


def test_clashing_names_stay_apart_when_one_of_them_goes() -> None:
    names = ToolNames()
    assert names.given([("a", "read")])["a", "read"] == "read"
    assert names.given([("a", "read"), ("b", "read")])["a", "read"] == "a__read"
    assert names.given([("a", "read")])["a", "read"] == "a__read"
    assert names.meant("read") == ("a", "read")  # whoever has seen the old list may still call it
    assert names.meant("never") is None


def test_long_and_foreign_names_are_made_to_fit() -> None:
    names = ToolNames().given([("a", "x" * 100), ("a", "x" * 100 + "y"), ("a", "read.file"), ("a", "read file")])
    assert len(set(names.values())) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names.values())


@given(TOOLS)
def test_any_names_become_good_ones_unlike_each_other_and_always_the_same(tools: set[tuple[str, str]]) -> None:
    names = ToolNames()
    given_names = names.given(tools)
    assert set(given_names) == tools
    assert len(set(given_names.values())) == len(tools)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in given_names.values())
    assert names.given(sorted(tools, reverse=True)) == given_names == ToolNames().given(tools)
    assert all(names.meant(name) == tool for tool, name in given_names.items())
