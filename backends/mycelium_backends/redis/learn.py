"""Taking the store's answers into the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError

from mycelium.errors import StoreDamaged
from mycelium.models import Agent, Keeper, Record, RunWhen, Task, Trigger, Workflow
from mycelium.models.base import Model
from mycelium.rules import Waiter
from mycelium_backends.redis.facts import Facts, Question, Waiters, Waits

M = TypeVar("M", bound=Model)

KINDS: Final[Mapping[str, type[Record]]] = {kind.kind: kind for kind in (Task, Agent, Workflow, Trigger, Keeper)}


def parsed(kind: type[M], body: bytes) -> M:
    """The record or event that stands there.

    Raises:
        StoreDamaged: it is none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise StoreDamaged(
            f"{kind.__name__} {body[:60]!r} cannot be read: {said}.",
            hint="Another program has written there. Put back what it was, or import a backup into a new namespace.",
        ) from error


def learn(facts: Facts, question: Question, answer: Any) -> None:
    """Take the answer to this question into the facts."""
    facts.journeys += 1
    _TAKE[cast("str", question[0])](facts, question, answer)


def _task(facts: Facts, question: Question, answer: Any) -> None:
    id = cast("str", question[1])
    if answer is None:
        facts.records["task", id] = None
        return
    body, waiters, workflow = answer
    facts.records["task", id] = parsed(Task, body)
    if waiters is not None:
        _waiters_of(facts, waiters)
    if workflow is not None:
        facts.counts[workflow[0].decode()] = pairs(workflow[1])


def _get(facts: Facts, question: Question, answer: Any) -> None:
    kind, keys = KINDS[cast("str", question[1])], cast("Sequence[str]", question[2])
    for key, body in zip(keys, answer, strict=True):
        facts.records[kind.kind, key] = None if body is None else parsed(kind, body)


def _keys(facts: Facts, question: Question, answer: Any) -> None:
    for key, body in zip(cast("Sequence[str]", question[1]), answer, strict=True):
        facts.keyed[key] = None if body is None else parsed(Task, body)


def _waiters(facts: Facts, question: Question, answer: Any) -> None:
    for each in answer:
        _waiters_of(facts, each)


def _waiters_of(facts: Facts, answer: Any) -> None:
    key, added, found = answer
    waiters: list[Waiter] = []
    for id, run_when, waits, body in found:
        waiter = Waiter(id.decode(), cast("RunWhen", run_when.decode()))
        waiters.append(waiter)
        _waits(facts, ["waits", [waiter.task_id]], [waits])
        if body is not None:
            facts.records["task", waiter.task_id] = parsed(Task, body)
    facts.waiters[key.decode()] = Waiters(added, waiters)


def _waits(facts: Facts, question: Question, answer: Any) -> None:
    for key, (count, some) in zip(cast("Sequence[str]", question[1]), answer, strict=True):
        facts.waits[key] = Waits(count, {id.decode() for id in some})


def _counts(facts: Facts, question: Question, answer: Any) -> None:
    facts.counts[cast("str", question[1])] = pairs(answer)


_TAKE: Final[Mapping[str, Callable[[Facts, Question, Any], None]]] = {
    "task": _task,
    "get": _get,
    "keys": _keys,
    "waiters": _waiters,
    "waits": _waits,
    "counts": _counts,
}


def pairs(flat: Sequence[bytes]) -> dict[str, int]:
    """What Redis gives for a hash of numbers: names and values in turn."""
    return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
