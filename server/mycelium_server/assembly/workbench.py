"""The workbench on the server's transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mycelium.errors import InvalidInput
from mycelium_server.serve import run_over_stdio
from mycelium_server.version import own_version
from mycelium_workbench import Settings, WorkbenchError
from mycelium_workbench.addresses import host_and_port
from mycelium_workbench.own import forget_imports_from
from mycelium_workbench.server import build_server


async def serve_workbench(settings: Settings, allowed_hosts: Sequence[str]) -> None:
    """Serve the workbench over stdin and stdout until the client goes, or a signal comes.

    Raises:
        InvalidInput: there is no such folder, or one of the hosts is no HOST:PORT.
    """
    try:
        hosts = frozenset(host_and_port(each) for each in allowed_hosts)
        settings = replace(settings, allowed_hosts=hosts)
        settings.check()
        forget_imports_from(settings.root)
        server = build_server(settings, version=own_version())
    except WorkbenchError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    await run_over_stdio(lambda: server)
