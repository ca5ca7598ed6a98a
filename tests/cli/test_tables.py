"""What people see at a terminal: tables that fit its width, one line for each record."""

from collections.abc import Callable

import pytest

from mycelium import Mycelium
from mycelium_server.cli import listings, output
from mycelium_server.cli.output import Listing, show

Lines = Callable[[Listing, int], list[str]]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lines:
    """Shows a listing at a terminal of some width; gives the lines."""

    def for_people(*, as_json: bool) -> bool:
        return not as_json

    def lines(listing: Listing, width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        show(listing, as_json=False)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    monkeypatch.setattr(output, "for_people", for_people)
    return lines


async def test_tasks_take_a_line_each_and_only_their_texts_are_cut(table: Lines) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        long = await m.create_task("review", title="A title of many words " * 10, priority="critical")
        await m.claim_task(long.id)
        listing = listings.of_tasks(await m.list_tasks())
    head, _, row = table(listing, 80)
    assert head.split() == ["task", "status", "type", "title", "priority", "agent"]
    assert len(row) <= 80
    assert all(word in row for word in (long.id, "running", "review", "critical", "ada", "…"))
    assert long.title.strip() in table(listing, 300)[2]


async def test_columns_that_say_nothing_are_left_out(table: Lines) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        await m.create_task("review")
        listing = listings.of_tasks(await m.list_tasks())
    assert table(listing, 80)[0].split() == ["task", "status", "type"]


async def test_events_show_their_channel_only_where_it_is_not_told_by_the_type(table: Lines) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        task = await m.create_task("review")
        own = await m.latest_events()
        await m.publish_event("news", {"lines": [1, 2], "who": "\x1b[2Jada"}, type="hello")
        both = await m.latest_events()
    head, _, row = table(listings.of_events(own.events, own.cursor), 100)
    assert head.split() == ["event", "time", "type", "agent", "data"]
    assert f"task_id={task.id} task_type=review" in row
    assert table(listings.of_events(both.events, both.cursor), 100)[-1].split()[2:] == [
        *("news", "hello", "ada"),
        *("lines=[1,", "2]", r"who=\x1b[2Jada"),
    ]


def test_no_markup_of_agents_is_obeyed(table: Lines) -> None:
    shown = table(Listing(("what",), [("[bold red]x[/]",), (":smile:",)], None), 80)
    assert shown[2:] == ["[bold red]x[/]", ":smile:"]


def test_a_long_first_column_leaves_the_others_room(table: Lines) -> None:
    listing = Listing(("setting", "value"), [("coordination.redis.connection_timeout_seconds", "5")], {})
    lines = table(listing, 50)
    assert any(line.endswith(" 5") for line in lines)
    assert all(len(line) <= 50 for line in lines)
