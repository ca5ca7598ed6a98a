"""The verbs of people: say yes or no to what a task asks them. No agent's tool calls these."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mycelium import rules
from mycelium.client.base import Base, checked
from mycelium.models import Task, validated
from mycelium.models.base import Line, Model


class Verdict(Model):
    """For checking who says what."""

    by: Annotated[Line, Field(min_length=1)]
    note: Line


class ApprovalVerbs(Base):
    """Approve and reject tasks."""

    async def approve_task(self, task_id: str, *, by: str, note: str = "") -> Task:
        """A person's yes to a task that has `approval`; `by` is their name. Twice is once.

        Raises:
            IllegalTransition: the task asks for none, or has its outcome.
        """
        key, said = checked(task_id), validated(Verdict, by=by, note=note)
        return await self._commit(lambda view: rules.approve_task(view, key, by=said.by, note=said.note))

    async def reject_task(self, task_id: str, *, by: str, note: str = "") -> Task:
        """A person's no: the task is cancelled, and what needs its success is skipped.

        Raises:
            IllegalTransition: the task asks for no approval, was approved, or has its outcome.
        """
        key, said = checked(task_id), validated(Verdict, by=by, note=note)
        return await self._commit(lambda view: rules.reject_task(view, key, by=said.by, note=said.note))
