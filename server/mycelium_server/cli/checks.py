"""What the doctor found, as a table and an exit code."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mycelium import MyceliumError
from mycelium.place import Finding, Place, mode_of
from mycelium_server.cli.output import Listing, for_people, print_lines, show
from mycelium_server.cli.run import REFUSED
from mycelium_server.cli.settings import configured
from mycelium_server.connect import connecting_lines
from mycelium_server.doctor import examine


def _exists(place: Place) -> bool | None:
    """Whether there is a store; None if nobody can tell, which the findings explain."""
    try:
        return place.exists()
    except MyceliumError:
        return None


async def _broker(context: typer.Context, backend: str) -> list[Finding]:
    """What there is to say of RabbitMQ: nothing where none is configured."""
    from mycelium_server.assembly.broker import examine_broker

    try:
        settings = configured(context, backend).settings.rabbitmq
    except MyceliumError:
        return []  # which is told of where the configuration is asked for the store
    found = await examine_broker(settings)
    return [] if found is None else [found]


async def show_checks(context: typer.Context, backend: str, agent: str | None, *, as_json: bool) -> None:
    """Examine and print. Ends with exit code 1 if anything failed."""
    findings, place = examine(backend, agent)
    findings += await _broker(context, backend)
    failed = any(each.level == "fail" for each in findings)
    rows = [(each.subject, each.level, each.says, each.mend) for each in findings]
    data = {
        "ok": not failed,
        "store": place.url if place else None,
        "mode": mode_of(place) if place else None,
        "reason": place.reason if place else None,
        "exists": _exists(place) if place else None,
        "findings": [asdict(each) for each in findings],
    }
    show(Listing(("what", "", "found", "what to do"), rows, data), as_json=as_json)
    if failed:
        raise typer.Exit(REFUSED)
    if place is not None and for_people(as_json=as_json):
        print_lines(connecting_lines(place.url))
