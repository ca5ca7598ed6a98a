"""Running a worker as a process: what it says, what it obeys, and how it ends."""

from __future__ import annotations

import gc
import logging
import math
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import typer
from anyio.abc import TaskStatus

from mycelium.errors import InvalidInput, MyceliumError
from mycelium_server.assembly.worker import Assembled, Plan, open_worker
from mycelium_server.cli.output import for_people, print_json, printable
from mycelium_server.cli.run import INTERRUPTED, REFUSED, STORE, USAGE, tell
from mycelium_server.logs import log_to_stderr
from mycelium_worker.failure import alone
from mycelium_worker.health import Health, health_file, health_port
from mycelium_worker.tally import Outcome, Tally
from mycelium_worker.worker import Worker

if TYPE_CHECKING:
    from mycelium.settings import Configuration
    from mycelium.settings.model import Settings

outcomes = logging.getLogger("mycelium.worker.outcomes")

GARBAGE: Final = 20_000
"""More objects than this made and kept, and the collector looks for garbage."""
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at whether a worker that is to end by itself still can."""
TRIES: Final = 3
"""Times the wait for a connection, and a worker that is to end when nothing is left has waited for a broker."""
SHOWN: Final = 200
"""Characters of an error that a line shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How long to work, and whom to tell."""

    once: bool = False
    until_empty: bool = False
    health_file: Path | None = None
    health_port: int | None = None
    as_json: bool = False

    @property
    def ends(self) -> bool:
        """Whether it is to end by itself."""
        return self.once or self.until_empty


async def work(config: Configuration, settings: Settings, plan: Plan, manner: Manner) -> int:
    """Work until told to end, and give the exit code. `MYCELIUM_LOG` is the level of logs on stderr.

    Raises:
        MyceliumError: the worker could not begin; the leaf says why.
    """
    level = os.environ.get("MYCELIUM_LOG")
    log_to_stderr(level or "WARNING")
    outcomes.setLevel(logging.NOTSET if level else logging.INFO)  # what becomes of tasks is told unless it is unwanted
    try:
        return await _work(config, settings, plan, manner)
    except BaseExceptionGroup as group:
        raise alone(group) from None  # task groups wrap what went wrong within them


def _spare_the_collector() -> None:
    """Have it look at what is made while working only, and less often: nearly all of that goes without it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


async def _work(config: Configuration, settings: Settings, plan: Plan, manner: Manner) -> int:
    async with _signals() as signals, open_worker(config, settings, plan, _teller(manner)) as assembled:
        async with AsyncExitStack() as stack:
            where = await _tell_health(stack, manner, assembled)
            _introduce(assembled, settings, where)
            signals.reach(assembled.worker)
            _spare_the_collector()
            hopeless = await _run(assembled, manner, settings.rabbitmq.connection_timeout_seconds * TRIES)
        _tell_end(assembled.worker, as_json=manner.as_json)
    if hopeless is not None:
        tell(hopeless, as_json=manner.as_json)
        return USAGE if isinstance(hopeless, InvalidInput) else STORE
    if signals.hurried:
        return INTERRUPTED
    return REFUSED if manner.once and _is_undone(assembled.worker.tally) else 0


def _is_undone(tally: Tally) -> bool:
    return tally.total > 0 and not tally.done


async def _run(assembled: Assembled, manner: Manner, patience: float) -> MyceliumError | None:
    """Let the worker work; what kept it from doing all that it was to do, if it was to end by itself.

    `patience` are the seconds that it waits for a broker that is away, with nothing else to do, until it is empty.
    """
    hopeless: list[MyceliumError] = []

    async def watch() -> None:
        good_until = math.inf
        while not hopeless:
            await anyio.sleep(LOOK_EVERY)  # the broker is tried again and again, and tells nobody of it
            alone = assembled.alone if manner.until_empty else None
            now = anyio.current_time()
            good_until = min(good_until, now + patience) if alone is not None else math.inf
            hopeless.extend([why] if (why := alone if now >= good_until else assembled.hopeless) else [])
        assembled.worker.stop()

    async with anyio.create_task_group() as tasks:
        if manner.ends:
            tasks.start_soon(watch)
        await assembled.worker.run(once=manner.once, until_empty=manner.until_empty)
        tasks.cancel_scope.cancel()
    if hopeless or not manner.ends:
        return hopeless[0] if hopeless else None
    return assembled.model_trouble


async def _tell_health(stack: AsyncExitStack, manner: Manner, assembled: Assembled) -> str | None:
    """Begin to; the address, if there is one."""
    health = Health(assembled.worker, assembled.presence, assembled.model)
    try:
        if manner.health_file is not None:
            await stack.enter_async_context(health_file(health, manner.health_file))
        if manner.health_port is not None:
            port = await stack.enter_async_context(health_port(health, manner.health_port))
            return f"http://127.0.0.1:{port}/health"
    except OSError as error:
        raise InvalidInput(
            f"Health cannot be told: {error}.", hint="Use another file or port.", fields=["health"]
        ) from error


def _introduce(assembled: Assembled, settings: Settings, health: str | None) -> None:
    """Say on stderr what this worker is and will do."""
    sources = " and ".join(source.name for source in assembled.worker.sources)
    _say(f"{assembled.client.agent} works on {assembled.client.backend.url}.")
    _say(f"It takes tasks from the {sources}, {assembled.worker.concurrency} at once.")
    _say(f"{_who_does_what(assembled)}{' Swarm mode: from queues only.' if settings.worker.swarm_mode else ''}")
    if health is not None:
        _say(f"Health: {health} and /ready.")


def _who_does_what(assembled: Assembled) -> str:
    own = ", ".join(assembled.executors.types)
    if assembled.types:
        of_types = f"It takes only tasks of type {', '.join(assembled.types)}"
        return f"{of_types}." if assembled.model else f"{of_types}: no model is configured that could do others."
    return f"Executors: {own}; {assembled.model.name if assembled.model else 'nobody'} does everything else."


def _teller(manner: Manner) -> Callable[[Outcome], None]:
    """What is told of each outcome: on stdout to programs and people, else in the log."""
    if manner.as_json:
        return _as_json
    return _as_line if for_people(as_json=False) else _in_log


def _as_json(outcome: Outcome) -> None:
    print_json(outcome.as_dict(), indent=None)
    sys.stdout.flush()


def _as_line(outcome: Outcome) -> None:
    why = f"  {outcome.error[:SHOWN]}" if outcome.error else ""
    typer.echo(printable(f"{outcome.ended:<10} {outcome.task_id}  {outcome.type}  {outcome.seconds:.2f} s{why}"))


def _in_log(outcome: Outcome) -> None:
    failed = outcome.code is not None and outcome.ended != "cancelled"
    why = f": {outcome.code}: {(outcome.error or '')[:SHOWN]}" if failed else ""
    outcomes.log(
        logging.WARNING if failed else logging.INFO,
        "%s %s (%s, attempt %d) after %.2f s%s",
        outcome.ended, outcome.task_id, outcome.type, outcome.attempt, outcome.seconds, why,
    )  # fmt: skip


def _tell_end(worker: Worker, *, as_json: bool) -> None:
    """Say what all of it came to; to programs, which have counted the outcomes, what else became of messages."""
    buried = worker.buried
    if as_json and buried:
        print_json({"dead_letters": dict(buried)}, indent=None)
    said = f" {_burials(buried)}" if buried else ""
    _say(f"Ended: {_counts(worker.tally)}.{said}")


def _burials(buried: Counter[str]) -> str:
    count, reasons = buried.total(), ", ".join(f"{reason} {times}" for reason, times in buried.most_common())
    became = "message became a dead letter" if count == 1 else "messages became dead letters"
    return f"{count} {became} ({reasons})."


def _counts(tally: Tally) -> str:
    counts = [f"{count} {ended}" for ended, count in tally.ended.items() if count]
    return ", ".join(counts) if counts else "no task was taken"


def _say(sentence: str) -> None:
    typer.echo(printable(sentence), err=True)


class Signals:
    """Passes signals on to the worker: the first lets it drain, the second ends it at once."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self._worker: Worker | None = None
        self.hurried = False

    def reach(self, worker: Worker) -> None:
        """From now on they are for this worker."""
        self._worker = worker

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Hear them without end."""
        if sys.platform == "win32":
            task_status.started()
            return
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for heard in signals:
                if heard is not signal.SIGHUP:
                    self._obey()

    def _obey(self) -> None:
        if self._worker is None:
            self._scope.cancel()
        elif self._worker.stopping:
            self.hurried = True
            _say("Ending at once; what runs is given back.")
            self._worker.hurry()
        else:
            running = self._worker.running
            _say(f"Ending: nothing new is taken, {running or 'no'} task{'s' if running != 1 else ''} still running.")
            self._worker.stop()


@asynccontextmanager
async def _signals() -> AsyncGenerator[Signals]:
    """Hear signals for the time of this context; one that comes before there is a worker ends it quietly."""
    async with anyio.create_task_group() as tasks:
        signals = Signals(tasks.cancel_scope)
        await tasks.start(signals.listen)
        yield signals
        tasks.cancel_scope.cancel()
