"""The verbs of those who take in messages, and of those who see to it that others get them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import JsonValue

from mycelium import rules
from mycelium.client.base import checked
from mycelium.client.turn import Turn
from mycelium.client.work import DEFAULT_LEASE, WorkVerbs
from mycelium.client.workflows import workflow_of
from mycelium.models import Task, TaskSpec, WorkflowSpec
from mycelium.rules import Claimant, NewEvent, Received, Rule


class MessageVerbs(WorkVerbs):
    """Take in what messages bring, each once, however often it comes."""

    async def receive_task(
        self,
        spec: TaskSpec,
        *,
        id: str,
        types: Collection[str] | None = None,
        lease_seconds: float = DEFAULT_LEASE,
    ) -> Received:
        """Add a task under this id unless it is here, and claim it in the same step if this agent may have it.

        `spec.idempotency_key` tells messages apart. `types` are what this agent does; None means all.

        Raises:
            Conflict: the id is that of another task, or the key was used for another.
            UnknownDependency, UnknownReference, DependencyCycle: as `create_task`.
        """
        key, claimant = checked(id), self._claimant(types, lease_seconds)
        return await self._take(
            lambda view: rules.receive_task(view, spec, id=key, created_by=self.agent, claimant=claimant)
        )

    async def take_announced(
        self, task_id: str, *, types: Collection[str] | None = None, lease_seconds: float = DEFAULT_LEASE
    ) -> Received:
        """Claim a task that a message tells of, if it is still to be had."""
        claimant = self._claimant(types, lease_seconds)
        return await self._take(lambda view: rules.take_announced(view, task_id, claimant=claimant))

    async def receive_workflow(self, spec: WorkflowSpec, *, id: str) -> bool:
        """Add a workflow under this id; whether it is new. Raises as `create_workflow`, and Conflict."""
        workflow = workflow_of(spec, id=checked(id), by=self.agent, at=self._clock())
        return await self._commit(lambda view: rules.receive_workflow(view, workflow, spec.tasks))

    async def receive_event(self, channel: str, type: str, data: Mapping[str, JsonValue], *, message_id: str) -> bool:
        """Add an event that a message brings; whether it is new. Raises as `publish_event`."""
        event = NewEvent(channel, type, self.agent, data)
        return await self._commit(lambda view: rules.receive_event(view, event, message_id=message_id))

    async def retry_task(self, task_id: str) -> Task:
        """Do a failed or cancelled task again, with all its attempts; one of a workflow, with all else of it.

        Raises:
            IllegalTransition: it goes on, or it has an outcome that stands.
        """
        key = checked(task_id)
        return await self._commit(lambda view: rules.retry_task(view, key, by=self.agent))

    def turn(self, duty: str) -> Turn:
        """The election of the one client that does this duty for all."""
        return Turn(self.backend, checked(duty), self.agent)

    def _claimant(self, types: Collection[str] | None, seconds: float) -> Claimant:
        return Claimant(self.agent, seconds, None if types is None else frozenset(types))

    async def _take(self, rule: Rule[Received]) -> Received:
        await self.see()
        received = await self._commit(rule)
        if received.claimed and received.task is not None:
            await self._keep(received.task)
        return received
