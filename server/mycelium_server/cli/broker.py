"""The commands for RabbitMQ: its queues, and the messages that nobody could act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from mycelium.errors import IllegalTransition, NotFound
from mycelium_server.cli.options import AsJson, Backend
from mycelium_server.cli.run import REFUSED, Usage, runs

if TYPE_CHECKING:
    from mycelium.settings.network import RabbitMQ
    from mycelium_server.assembly.broker import Letter, Standing
    from mycelium_server.cli.output import Listing

ACTIONS: Final = ("list", "show", "replay", "drop")


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command()(topology)
    app.command("dead-letters")(dead_letters)


@runs
async def topology(
    context: typer.Context,
    declare: Annotated[bool, typer.Option("--declare", help="Make what is missing first.")] = False,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """Show RabbitMQ's queues beside what is configured.

    Changes nothing without --declare. What is there with other arguments stays as it is.
    """
    from mycelium_server.assembly.broker import survey_topology
    from mycelium_server.cli.output import show

    found = await survey_topology(_settings(context, backend), declares=declare)
    show(of_topology(found), as_json=as_json)
    if any(each.state != "ok" for each in found):
        raise typer.Exit(REFUSED)


@runs
async def dead_letters(
    context: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="One of: list, show, replay, drop.")] = "list",
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", show_default=False, help="Of the other actions: which letters.")
    ] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Replay or drop all of them.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="Print at most this many.")
    ] = 50,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """List messages that nobody could act on, and replay them.

    Each has the reason why. One may be sent out again, or removed.

    Listing leaves them where they are. Replaying sends each as it came, under its own id, and then removes it.
    """
    if action not in ACTIONS:
        raise Usage(f"There is no action {action!r}.", hint=f"There are {', '.join(ACTIONS)}.")
    settings = _settings(context, backend)
    if action in ("list", "show"):
        await _look(settings, action, ids, limit, as_json=as_json)
        return
    chosen = _chosen(action, ids, all_of_them)
    if action == "drop":
        _tell("Dropped", await _drop(settings, chosen), chosen, as_json=as_json)
        return
    done, refusals = await _replay(settings, chosen, backend)
    if done or not refusals:
        _tell("Replayed", done, None if refusals else chosen, as_json=as_json)
    for each in refusals:
        raise each


def _chosen(action: str, ids: Sequence[str] | None, all_of_them: bool) -> Sequence[str] | None:
    if bool(ids) == all_of_them:
        raise Usage(f"Which letters to {action} is not clear.", hint="Name their ids, or say --all.")
    return None if all_of_them else ids


async def _look(settings: RabbitMQ, action: str, ids: Sequence[str] | None, limit: int, *, as_json: bool) -> None:
    from mycelium_server.assembly.broker import dead_letters, letters_named
    from mycelium_server.cli.output import for_people, show, show_fields

    if action == "list":
        if ids:
            raise Usage("A list has all letters.", hint=f"Say `mycelium dead-letters show {' '.join(ids)}`.")
        letters, there = await dead_letters(settings)
        show(of_letters(letters, there, limit), as_json=as_json)
        return
    if not ids:
        raise Usage("Which letters to show is not clear.", hint="Name their ids.")
    for number, each in enumerate(_named(await letters_named(settings, ids), ids)):
        if number and for_people(as_json=as_json):
            typer.echo()
        show_fields(fields_of_letter(each), each.model_dump(mode="json"), as_json=as_json)


async def _drop(settings: RabbitMQ, ids: Collection[str] | None) -> Sequence[Letter]:
    from mycelium_server.assembly.broker import drop

    return await drop(settings, ids)


async def _replay(
    settings: RabbitMQ, ids: Collection[str] | None, backend: str
) -> tuple[Sequence[Letter], Sequence[IllegalTransition]]:
    """Send letters out again; tasks that failed for good begin anew in the store, which then announces them.

    The letters of those that cannot begin anew stay where they are; why not is returned beside what was replayed.
    """
    from mycelium_server.assembly.broker import replay
    from mycelium_server.cli.options import opened

    refusals: list[IllegalTransition] = []

    async def again(letter: Letter) -> Literal["seen to", "sent", "kept"]:
        if letter.task is None or letter.reason != "task_failed":
            return "sent"
        async with opened(backend) as m:
            try:
                await m.retry_task(letter.task)
            except NotFound:
                return "sent"  # then it is the message alone that there is
            except IllegalTransition as error:
                if (await m.get_task(letter.task)).status == "failed":
                    refusals.append(error)
                    return "kept"
        return "seen to"  # by us, or by somebody before

    return await replay(settings, ids, again), refusals


def _tell(what: str, done: Sequence[Letter], ids: Collection[str] | None, *, as_json: bool) -> None:
    from mycelium_server.cli.output import show

    if ids is not None:
        _named(done, ids)
    show(of_letters(done, len(done), done=f"{what}: "), as_json=as_json)


def _named(letters: Sequence[Letter], ids: Collection[str]) -> Sequence[Letter]:
    for each in ids:
        if not any(letter.id == each for letter in letters):
            raise NotFound("dead-letter", each)
    return [letter for letter in letters if letter.id in ids]


def _settings(context: typer.Context, backend: str) -> RabbitMQ:
    from mycelium_server.cli.settings import configured

    return configured(context, backend).settings.rabbitmq


def of_topology(found: Sequence[Standing]) -> Listing:
    from mycelium_server.assembly.broker import remedy
    from mycelium_server.cli.output import Listing

    rows = [
        (each.name, each.kind, ", ".join(each.bindings), _number(each.messages), _number(each.consumers), each.state,
         "; ".join(map(str, each.differences)), remedy(each))
        for each in found
    ]  # fmt: skip
    columns = ("name", "kind", "takes", "messages", "consumers", "state", "what differs", "what to do")
    data = {
        "ok": all(each.state == "ok" for each in found),
        "exchanges": [_data(each) for each in found if not each.is_queue],
        "queues": [_data(each) for each in found if each.is_queue],
    }
    return Listing(columns, rows, data, more=_advice(found), for_people=[(*row[:6], "", "") for row in rows])


def _advice(found: Sequence[Standing]) -> str:
    """What differs and what to do, in lines below the table, which has no room for it."""
    from mycelium_server.assembly.broker import remedy
    from mycelium_server.cli.output import printable

    lines = [
        f"{each.name}: {'; '.join(map(str, each.differences))}. {remedy(each)}" for each in found if each.differences
    ]
    if any(each.state == "missing" for each in found):
        lines.append("`mycelium topology --declare` makes what is missing.")
    return "\n".join(map(printable, lines))


def _data(standing: Standing) -> dict[str, Any]:
    from mycelium_server.assembly.broker import remedy

    said: dict[str, Any] = {"name": standing.name, "kind": standing.kind, "state": standing.state}
    if standing.is_queue:
        said |= {
            "bindings": list(standing.bindings),
            "messages": standing.messages,
            "consumers": standing.consumers,
        }
    differences = [
        {"argument": each.argument, "wanted": each.wanted, "found": each.found, "says": str(each)}
        for each in standing.differences
    ]
    return said | {"differences": differences, "remedy": remedy(standing)}


def of_letters(letters: Sequence[Letter], there: int, limit: int | None = None, *, done: str = "") -> Listing:
    """The first of these letters, and what was `done` with them; of those that were read, how many died of what."""
    from mycelium_server.cli.output import Listing

    shown = letters[:limit]
    rows = [
        (each.id, each.reason, each.says, each.queue, each.routing_key, _moment(each), str(each.size), each.task or "")
        for each in shown
    ]
    reasons = Counter(each.reason for each in letters)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    unshown = f"{len(shown)} of {there} letters are shown. " if len(shown) < there else ""
    unseen = f"Of the first {len(letters)}: " if len(letters) < there else ""
    columns = ("letter", "reason", "says", "died in", "routing key", "at", "bytes", "task")
    data = {"total": there, "reasons": dict(reasons), "letters": [each.model_dump(mode="json") for each in shown]}
    return Listing(
        columns,
        rows,
        data,
        empty="No dead letters.",
        more=f"{unshown}{unseen}{done}{counts}.",
        cut=("says",),
        for_people=[(*row[:3], "", "", row[5], "", row[7]) for row in rows],
    )


def fields_of_letter(letter: Letter) -> dict[str, str]:
    import json

    return {
        "letter": letter.id,
        "reason": letter.reason,
        "says": letter.says,
        "died in": letter.queue,
        "exchange": letter.exchange or "",
        "routing key": letter.routing_key,
        "at": _moment(letter),
        "bytes": str(letter.size),
        "task": letter.task or "",
        "replayed": str(letter.replayed or ""),
        "history": json.dumps(letter.history, ensure_ascii=False) if letter.history else "",
        "begins": letter.preview,
    }


def _moment(letter: Letter) -> str:
    return f"{letter.at:%Y-%m-%d %H:%M:%SZ}" if letter.at else ""


def _number(count: int | None) -> str:
    return "" if count is None else str(count)
