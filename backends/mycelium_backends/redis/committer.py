"""How a rule becomes a change in the server: tried on what is known, and applied if that still holds there."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

import anyio
from redis.exceptions import ResponseError

from mycelium.backend import Committed, Grant
from mycelium.errors import Conflict, MyceliumError
from mycelium.models import ClaimRequest, Event, Task
from mycelium.rules import Change, Rule, numbered
from mycelium_backends.redis.connection import Argument, Connection
from mycelium_backends.redis.describe import Description, describe
from mycelium_backends.redis.errors import damaged, translated
from mycelium_backends.redis.facts import Facts, FactsView, Missing, Question
from mycelium_backends.redis.lane import Lane
from mycelium_backends.redis.learn import learn, parsed
from mycelium_backends.redis.reader import Reader
from mycelium_backends.redis.remembered import Remembered
from mycelium_backends.redis.scripts import SCHEMA, script
from mycelium_backends.redis.time import ServerClock

log = logging.getLogger("mycelium.redis")

T = TypeVar("T")

RESERVED_FOR: Final = 5.0
"""Seconds after which a task that was picked for a claim and not claimed is ready again."""

TRIES: Final = 100
"""How often a change is tried that others keep overtaking; with the pauses, some seconds."""
AT_ONCE: Final = 3
"""As many of these tries follow each other without a pause."""
LONGEST_PAUSE: Final = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a rule answered, on which view."""

    view: FactsView
    change: Change[Any] | None = None
    refusal: MyceliumError | None = None


class Committer:
    """Carries out changes and claims of one process."""

    def __init__(self, connection: Connection, reader: Reader, clock: ServerClock, store_id: str) -> None:
        self._connection = connection
        self._store_id = store_id
        self._reader = reader
        self._clock = clock
        self._sender = uuid4().hex[:16]
        self._batch = 0
        self._remembered = Remembered()
        self._commits = Lane[Description, list[Any]](self._send_commits, lambda each: each.size)
        self._claims = Lane[Question, Any](self._send_claims, lambda _: 1)
        self._contended = anyio.Lock()

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        """See `mycelium.backend.Backend.commit`."""
        for facts in (Facts(remembered=self._remembered), Facts()):
            if (committed := await self._attempt(rule, facts)) is not None:
                return committed
        # Others of this process want the same records: one after another, they do not get in each other's way.
        async with self._contended:
            for number in range(TRIES):
                await _pause_before(number)
                if (committed := await self._attempt(rule, Facts())) is not None:
                    return committed
        raise self._overtaken()

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        """See `mycelium.backend.Backend.claim`."""
        for number in range(TRIES):
            await _pause_before(number)
            if (task := await self._reserve(request)) is None:
                return None
            if (committed := await self._grant(task, grant)) is not None:
                return committed
        raise self._overtaken()

    async def _reserve(self, request: ClaimRequest) -> Task | None:
        """Keep the next task that fits for this process, for a while."""
        body = await self._claims.ask(
            ["next", request.agent, request.types, request.queues, sorted(request.capabilities), request.addressed]
        )
        if isinstance(body, Exception):
            raise translated(body, self._connection.url)
        return None if body is None else parsed(Task, body)

    async def _grant(self, task: Task, grant: Grant) -> Committed[Task] | None:
        """Lease a reserved task; None if others were faster. The task is given back unless it was leased."""
        facts = Facts(records={("task", task.id): task})
        committed = None
        try:
            committed = await self._attempt(lambda view: grant(view, cast("Task", view.get(Task, task.id))), facts)
        finally:
            if committed is None:
                with anyio.CancelScope(shield=True):
                    await self._give_back(task)
        return committed

    async def _give_back(self, task: Task) -> None:
        """Make a reserved task ready again. If that fails, its reservation runs out."""
        try:
            await self._claims.ask(["return", task.id, task.version])
        except MyceliumError as error:
            # What kept it from being claimed is what the caller has to hear.
            log.warning("%s was reserved and is ready again in %g s: %s", task.id, RESERVED_FOR, error)

    async def _attempt(self, rule: Rule[T], facts: Facts) -> Committed[T] | None:
        """Try once; None if something that the rule saw has changed meanwhile."""
        decided = await self._decide(rule, facts)
        change = decided.change or Change(None)
        nothing = not (change.puts or change.removes or change.events or change.history)
        if nothing and facts.of_one_moment:
            return _outcome(decided, ())
        if nothing and facts.recalled:
            return None
        _check_distinct(change)
        description = describe(change, decided.view.seen, decided.view.now)
        answer = await self._commits.ask(description)
        match answer[0]:
            case b"ok":
                self._remember(change, description)
                return _outcome(decided, self._numbered(change, decided, int(answer[1])))
            case b"stale":
                self._forget(facts)
                return None
            case _:
                raise self._refusal(answer)

    async def _decide(self, rule: Rule[T], facts: Facts) -> Decided:
        """Run the rule, as often as it takes to learn all that it asks."""
        while True:
            view = FactsView(facts, self._clock())
            try:
                return Decided(view, change=rule(view))
            except Missing as missing:
                question = missing.question
            except MyceliumError as refusal:
                return Decided(view, refusal=refusal)
            learn(facts, question, await self._reader.ask(question))

    def _numbered(self, change: Change[Any], decided: Decided, last_seq: int) -> Sequence[Event]:
        after = last_seq - len(change.events)
        return numbered(change.events, after=after, store_id=self._store_id, time=decided.view.now)

    def _remember(self, change: Change[Any], description: Description) -> None:
        for record, text in zip(change.puts, description.texts, strict=False):
            self._remembered.take(record, text)
        for record in change.removes:
            self._remembered.forget(record.kind, record.key)

    def _forget(self, facts: Facts) -> None:
        for kind, key in facts.records:
            self._remembered.forget(kind, key)

    def _refusal(self, answer: Sequence[Any]) -> MyceliumError:
        what, *details = (each.decode() for each in answer)
        match what:
            case "exists":
                return Conflict(f"{details[0]} {details[1]} exists.", hint="Use another id.", id=details[1])
            case "history":
                return Conflict(
                    "This store already has a history.", hint="Import into a new store.", last_seq=int(details[0])
                )
            case "type":
                return damaged(self._connection.url, f"{details[0]} is of another type")
            case _:
                return translated(ResponseError(details[0]), self._connection.url)

    def _overtaken(self) -> Conflict:
        return Conflict(
            f"Others changed the same records first, {TRIES} times in a row; nothing was stored.",
            hint="Call again; if that does not help, let fewer agents at a time change these records.",
            tries=TRIES,
        )

    async def _send_commits(self, descriptions: Sequence[Description]) -> Sequence[list[Any]]:
        self._batch += 1
        args: list[Argument] = [SCHEMA, self._sender, self._batch]
        for each in descriptions:
            args += [each.json, *each.texts]
        asked_at = self._clock()
        seconds, micros, answers = await self._connection.run(script("commit"), *args)
        server_time = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))
        self._clock.correct(server_time, asked_at)
        return answers

    async def _send_claims(self, questions: Sequence[Question]) -> Sequence[Any]:
        now = self._clock().timestamp()
        asked = [self._reader.written(each) for each in questions]
        return await self._connection.run(script("claim"), SCHEMA, now, now + RESERVED_FOR, *asked)


async def _pause_before(number: int) -> None:
    """Let the others pass: longer each time, and not the same for everybody."""
    if number >= AT_ONCE:
        await anyio.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2 ** (number - AT_ONCE))))


def _outcome(decided: Decided, events: Sequence[Event]) -> Committed[Any]:
    if decided.refusal is not None:
        raise decided.refusal
    assert decided.change is not None
    return Committed(decided.change.result, events)


def _check_distinct(change: Change[Any]) -> None:
    """Raises Conflict if the change creates a record that it puts already."""
    seen: set[tuple[str, str]] = set()
    for record in change.puts:
        if record.version == 1 and (record.kind, record.key) in seen:
            raise Conflict(f"{record.kind} {record.key} exists.", hint="Use another id.", id=record.key)
        seen.add((record.kind, record.key))
