"""What comes in: from a message to a record in the store, or to the dead letters with the reason.

A message is acked when the store has what it says, once and for good. One that asks for a task is acked last, when the
task has its outcome; if it comes again before that, because whoever took it is slow or gone, the store knows the task.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

import anyio
from pydantic import JsonValue

from mycelium import Mycelium, MyceliumError
from mycelium.errors import Conflict, NotClaimable, StoreError
from mycelium.models import WORKFLOWS, Task, TaskSpec, Trigger, Workflow
from mycelium.models.trigger import Then, When
from mycelium.rules import Received
from mycelium_messaging.asked import AskedFor, asked_for
from mycelium_messaging.connection import Broker, Delivery
from mycelium_messaging.coordination import Coordination, agents_in, coordination, id_of_request, request_in
from mycelium_messaging.envelope import Envelope, parse
from mycelium_messaging.errors import BadMessage
from mycelium_messaging.lanes import BY_MESSAGE, REJECTED, SYSTEM
from mycelium_messaging.letter import SAYS_CHARS
from mycelium_messaging.letters import bury
from mycelium_messaging.names import AGENT_TASKS, COORDINATION_INTAKE, EVENTS_INTAKE, STORE
from mycelium_messaging.outgoing import COORDINATED, store_of
from mycelium_messaging.roster import Roster

log = logging.getLogger("mycelium.messaging")

PAUSE: Final = 1.0
"""Seconds before a message goes back to its queue whose task another worker does."""
LONG_PAUSE: Final = 10.0
"""The same where this worker gets no work for now, as after many failures: it holds up nobody else meanwhile."""


@dataclass(slots=True)
class MessageJob:
    """A task that a message brought."""

    task: Task
    delivery: Delivery

    async def settle(self) -> None:
        await self.delivery.ack()

    async def give_back(self) -> None:
        await self.delivery.requeue()


class Intake:
    """Takes in what messages say. `types` are the tasks that this worker does; None means all."""

    def __init__(
        self,
        m: Mycelium,
        broker: Broker,
        *,
        types: Collection[str] | None = None,
        lease_seconds: float = 60.0,
    ) -> None:
        self._m = m
        self._broker = broker
        self._types = None if types is None else frozenset(types)
        self._lease_seconds = lease_seconds
        self._roster = Roster(m)
        self._store: str | None = None
        self.buried: Counter[str] = Counter()
        """How many messages went to the dead letters, by reason."""

    async def take_task(self, delivery: Delivery) -> MessageJob | None:
        """The task of this message, claimed; None where it is not for this worker now, and the message is dealt with.

        Raises:
            StoreError: the store cannot be used; the message is back in its queue.
        """
        try:
            return await self._take_task(delivery)
        except (StoreError, anyio.get_cancelled_exc_class()):
            await delivery.requeue()
            raise
        except MyceliumError as error:
            await self._bury(delivery, error)
        except Exception as error:  # a boundary: what nobody foresaw must not come again for ever
            log.exception("a message of %s cannot be taken in", delivery.queue)
            await self._bury(delivery, _unforeseen(error))
        return None

    async def _take_task(self, delivery: Delivery) -> MessageJob | None:
        envelope = parse(delivery.body, AGENT_TASKS)
        store = delivery.headers.get(STORE)
        if store is None:
            received = await self._receive(asked_for(envelope))
        else:
            received = await self._announced(envelope, str(store))
        if received.claimed and received.task is not None:
            return MessageJob(received.task, delivery)
        if received.refusal is None or received.task is None:
            await delivery.ack()  # the store knows it, and sees to it that it is done by whoever may
        else:
            await self._leave(delivery, received.task, received.refusal)
        return None

    async def _receive(self, asked: AskedFor) -> Received:
        try:
            spec = await self._addressed(asked)
        except BadMessage:
            if not await self._is_known(asked):
                raise
            return await self._take_known(asked.id)
        return await self._m.receive_task(spec, id=asked.id, types=self._types, lease_seconds=self._lease_seconds)

    async def _addressed(self, asked: AskedFor) -> TaskSpec:
        """The task as it is for whom the message names. Raises BadMessage where nobody would do it."""
        spec = asked.spec
        if not self._does(spec.type):
            await self._count_on_others(spec.type, asked.agent)
        if asked.agent is None:
            return spec
        return (await self._roster.addressing([asked.agent]))[asked.agent].on(spec)

    async def _count_on_others(self, kind: str, agent: str | None) -> None:
        """Raise BadMessage where nobody else does such tasks, not even somebody who is away."""
        if not await self._roster.others_do(kind, named=agent):
            raise BadMessage("unknown_type", f"nobody here does tasks of type {kind}")

    async def _is_known(self, asked: AskedFor) -> bool:
        """Whether this very message has been taken in before, when there was somebody to do it."""
        (task,) = await self._m.backend.get(Task, [asked.id])
        return task is not None and task.idempotency_key == asked.spec.idempotency_key

    async def _take_known(self, task_id: str) -> Received:
        return await self._m.take_announced(task_id, types=self._types, lease_seconds=self._lease_seconds)

    async def _announced(self, envelope: Envelope, store: str) -> Received:
        if store != await self._own_store():
            raise BadMessage(
                "foreign_store", "another store announces this task; each store needs an exchange of its own"
            )
        return await self._take_known(str(envelope.payload.get("task_id")))

    async def _own_store(self) -> str:
        if self._store is None:
            newest = (await self._m.latest_events(limit=1)).events
            if not newest:
                return ""  # nothing was ever told of this store
            self._store = store_of(newest[0])
        return self._store

    def _does(self, kind: str) -> bool:
        return self._types is None or kind in self._types

    async def _leave(self, delivery: Delivery, task: Task, refusal: NotClaimable) -> None:
        """Leave a task to others that this worker may not have now: those at the queue, or those at the store."""
        if not self._does(task.type) and not await self._roster.others_consume(task.type):
            log.info("%s waits in the store: %s", task.id, refusal)  # and is announced again once in a while
            await delivery.ack()
            return
        log.info("%s goes back to its queue: %s", task.id, refusal)
        await anyio.sleep(PAUSE if not self._does(task.type) else LONG_PAUSE)
        await delivery.requeue()

    async def take_coordination(self, delivery: Delivery) -> None:
        """Make a workflow of a request. Raises as `take_task`."""
        await self._take(delivery, COORDINATION_INTAKE, self._coordinate)

    async def _coordinate(self, envelope: Envelope) -> None:
        try:
            await self._begin(envelope)
        except StoreError:
            raise
        except MyceliumError as error:
            await self._reject(envelope, error)
            raise

    async def _reject(self, envelope: Envelope, error: MyceliumError) -> None:
        """Have whoever sent the request hear of that, once, as they hear of everything else: from the log."""
        reason, says = _why(error)
        data: dict[str, JsonValue] = {
            COORDINATED: id_of_request(envelope),
            "message_id": envelope.id,
            "error": {"error": says[:SAYS_CHARS], "code": reason},
        }
        await self._m.receive_event(WORKFLOWS, REJECTED, data, message_id=f"{REJECTED}:{envelope.id}")

    async def _begin(self, envelope: Envelope) -> None:
        request = request_in(envelope)
        try:
            wanted = coordination(envelope, await self._roster.addressing(agents_in(request)))
            for kind, agent in wanted.work:
                if not self._does(kind):
                    await self._count_on_others(kind, agent)
        except BadMessage:
            if not await self._has_begun(request.coordination_id):
                raise
            return  # the same message again: who was there for it then has gone since
        if wanted.when is None:
            await self._m.receive_workflow(wanted.workflow, id=wanted.id)
        else:
            await self._arm(wanted, wanted.when)

    async def _has_begun(self, coordination_id: str) -> bool:
        """Whether a request of this id was taken in before."""
        (workflow,) = await self._m.backend.get(Workflow, [coordination_id])
        (trigger,) = await self._m.backend.get(Trigger, [coordination_id])
        return trigger is not None or (workflow is not None and COORDINATED in workflow.metadata)

    async def _arm(self, wanted: Coordination, when: When) -> None:
        """Have a trigger make the workflow, once, when that happens."""
        then = Then(workflow=wanted.workflow)
        try:
            await self._m.create_trigger(
                when.model_dump(exclude_none=True), then.model_dump(exclude_none=True), trigger_id=wanted.id, times=1
            )
        except Conflict:
            if (await self._m.get_trigger(wanted.id)).then != then:
                raise

    async def take_system_event(self, delivery: Delivery) -> None:
        """Add an event that concerns everybody to the log, where every worker and trigger reads it."""
        await self._take(delivery, EVENTS_INTAKE, self._add_event)

    async def _add_event(self, envelope: Envelope) -> None:
        data = {**envelope.payload, BY_MESSAGE: envelope.id}
        if envelope.source is not None:
            data.setdefault("from", envelope.source)
        await self._m.receive_event(SYSTEM, envelope.routing_key, data, message_id=envelope.id)

    async def _take(self, delivery: Delivery, suffix: str, act: Callable[[Envelope], Awaitable[None]]) -> None:
        try:
            if delivery.headers.get(STORE) != await self._own_store():  # else the log has it from the beginning
                await act(parse(delivery.body, suffix))
        except (StoreError, anyio.get_cancelled_exc_class()):
            await delivery.requeue()
            raise
        except MyceliumError as error:
            await self._bury(delivery, error)
        except Exception as error:  # a boundary, as above
            log.exception("a message of %s cannot be taken in", delivery.queue)
            await self._bury(delivery, _unforeseen(error))
        else:
            await delivery.ack()

    async def _bury(self, delivery: Delivery, error: MyceliumError) -> None:
        """Put a message with the dead letters; where it is lost on the way, it comes again and is put there then."""
        reason, says = _why(error)
        if await bury(self._broker, delivery, reason, says):
            self.buried[reason] += 1


def _why(error: MyceliumError) -> tuple[str, str]:
    """The code and the words for what keeps a message from being taken in."""
    return (error.reason, error.says) if isinstance(error, BadMessage) else (error.code, str(error))


def _unforeseen(error: Exception) -> BadMessage:
    return BadMessage(
        "internal_error", f"taking it in failed with {type(error).__name__}; the log of the worker says more"
    )
