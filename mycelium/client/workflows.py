"""The verbs for workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from mycelium import rules
from mycelium.client.base import Base, checked, within
from mycelium.client.ids import new_id
from mycelium.client.share import share_done
from mycelium.errors import NotFound, StoreDamaged
from mycelium.models import (
    OnFailure,
    Page,
    Task,
    Workflow,
    WorkflowMode,
    WorkflowQuery,
    WorkflowSpec,
    WorkflowStatus,
    validated,
)
from mycelium.models.base import Cursor, JsonObject, Line, Model, Share
from mycelium.models.spec import mode_of


class WorkflowFilter(Model):
    """For checking what is asked for from outside."""

    status: WorkflowStatus | None
    cursor: Cursor | None


class HandProgress(Model):
    """For checking what an agent says of a workflow that it drives by hand."""

    progress: Share | None = None
    current_task: Line | None = None
    result: JsonObject | None = None


class HandFailure(Model):
    """For checking why a workflow failed, as an agent says."""

    error: JsonObject


class HandReason(Model):
    """For checking why a workflow is called off."""

    reason: Line | None


class WorkflowVerbs(Base):
    """Declare workflows, watch them, or drive them by hand."""

    async def create_workflow(
        self,
        type: str,
        tasks: Sequence[str | Mapping[str, object]] = (),
        *,
        mode: WorkflowMode | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        on_failure: OnFailure = "continue",
        timeout_seconds: float | None = None,
    ) -> Workflow:
        """Add a workflow with all its tasks (at most 10,000) at once. It runs by itself to one outcome.

        A task is a name, or a mapping with `name` and any argument of `create_task`; its `depends_on` may name
        siblings. The task `prepare` of workflow `w-1` gets the id `w-1.prepare`. `sequential` chains the tasks in
        their order, `parallel` and `dag` leave it to `depends_on`. Unless given, the mode is `dag` where a task has
        `depends_on`, else `sequential`.

        `{"$from": "survey.result.files"}` in a payload is what the task `survey` came to, and `workflow.metadata.KEY`
        a part of the metadata; `condition` asks about such values. With `for_each`, a list or the path to one, a task
        is done once for each `item`, and its result has them all as `items`. With `workflow`, a workflow of its own
        does the task. `on_failure` says what a failed task means: the others `continue`, they `stop`, or they stop and
        the `undo` tasks of what was done run in the opposite order (`compensate`). So does `timeout_seconds`.

        Raises:
            InvalidInput, UnknownDependency, UnknownReference, DependencyCycle: naming the tasks.
        """
        spec = validated(
            WorkflowSpec,
            type=type,
            tasks=tasks,
            mode=mode,
            metadata={} if metadata is None else metadata,
            on_failure=on_failure,
            timeout_seconds=timeout_seconds,
        )
        workflow = workflow_of(spec, id=new_id("w"), by=self.agent, at=self._clock())
        return await self._commit(lambda view: rules.create_workflow(view, workflow, spec.tasks))

    async def get_workflow(self, workflow_id: str) -> Workflow:
        """The workflow as it is now, with `progress` and `current_task` worked out from its tasks.

        Raises:
            NotFound, InvalidId
        """
        (workflow,) = await self.backend.get(Workflow, [checked(workflow_id)])
        if workflow is None:
            raise NotFound("workflow", workflow_id)
        return await self._with_progress(workflow)

    async def list_workflows(
        self, *, status: WorkflowStatus | None = None, limit: int = 20, cursor: str | None = None
    ) -> Page[Workflow]:
        """One page of the workflows, newest first. `limit` is 1 to 1000."""
        within("limit", limit, 1, 1000, whole=True)
        said = validated(WorkflowFilter, status=status, cursor=cursor)
        page = await self.backend.find(WorkflowQuery(status=said.status, limit=limit, cursor=said.cursor))
        return Page([await self._with_progress(workflow) for workflow in page.records], page.cursor)

    async def update_workflow(
        self, workflow_id: str, *, progress: float | None = None, current_task: str | None = None
    ) -> Workflow:
        """Say how far a workflow is (0 to 1) that an agent drives by hand."""
        said = validated(HandProgress, progress=progress, current_task=current_task)
        key = checked(workflow_id)
        return await self._commit(
            lambda view: rules.update_workflow(
                view, key, progress=said.progress, current_task=said.current_task, by=self.agent
            )
        )

    async def complete_workflow(self, workflow_id: str, result: Mapping[str, JsonValue] | None = None) -> Workflow:
        """Finish a workflow by hand; tasks of it that are still open are cancelled."""
        said = validated(HandProgress, result=result).result
        return await self._finish(workflow_id, "completed", result=said)

    async def fail_workflow(self, workflow_id: str, error: str | Mapping[str, JsonValue]) -> Workflow:
        """End a workflow by hand as failed; tasks of it that are still open are cancelled."""
        said = validated(HandFailure, error={"error": error} if isinstance(error, str) else error).error
        return await self._finish(workflow_id, "failed", error=said)

    async def pause_workflow(self, workflow_id: str) -> Workflow:
        """Let nobody claim its tasks until it is resumed; those that run go on, and its time stands still.

        Raises:
            IllegalTransition: it has its outcome, or is being undone.
        """
        key = checked(workflow_id)
        return await self._commit(lambda view: rules.pause_workflow(view, key, by=self.agent))

    async def resume_workflow(self, workflow_id: str) -> Workflow:
        """Go on with a workflow that was paused. Raises as `pause_workflow` does."""
        key = checked(workflow_id)
        return await self._commit(lambda view: rules.resume_workflow(view, key, by=self.agent))

    async def cancel_workflow(self, workflow_id: str, reason: str | None = None) -> Workflow:
        """Call a workflow off, with all its tasks that have no outcome.

        Raises:
            IllegalTransition: it has its outcome.
        """
        said = validated(HandReason, reason=reason).reason
        return await self._finish(workflow_id, "cancelled", error={"error": said} if said else None)

    async def retry_workflow(self, workflow_id: str) -> Workflow:
        """Do again what of a failed or cancelled workflow was not completed, with all its attempts.

        Raises:
            IllegalTransition: it goes on, was completed, or was undone.
        """
        key = checked(workflow_id)
        return await self._commit(lambda view: rules.retry_workflow(view, key, by=self.agent))

    async def _finish(
        self,
        workflow_id: str,
        status: WorkflowStatus,
        *,
        result: dict[str, JsonValue] | None = None,
        error: dict[str, JsonValue] | None = None,
    ) -> Workflow:
        key = checked(workflow_id)
        return await self._commit(
            lambda view: rules.finish_workflow(view, key, status, by=self.agent, result=result, error=error)
        )

    async def _with_progress(self, workflow: Workflow) -> Workflow:
        """As it is told. Of one that has its outcome, the tasks need not be read: they have ended."""
        if workflow.progress or not workflow.tasks:
            return workflow
        tasks = await self._readable(workflow.tasks) if workflow.going_on else []
        if workflow.going_on and not tasks:
            return workflow
        running = next((task.id for task in tasks if task.status == "running"), None)
        told = {"progress": share_done(tasks, workflow), "current_task": workflow.current_task or running}
        return workflow.model_copy(update=told)

    async def _readable(self, keys: Sequence[str]) -> list[Task]:
        """Those of these tasks that are there; one that is broken is passed over, as in a listing."""
        try:
            return [task for task in await self.backend.get(Task, keys) if task]
        except StoreDamaged:
            if len(keys) == 1:
                return []
            half = len(keys) // 2
            return [*await self._readable(keys[:half]), *await self._readable(keys[half:])]


def workflow_of(spec: WorkflowSpec, *, id: str, by: str, at: datetime) -> Workflow:
    """The record of a workflow that is declared so, before its tasks are added."""
    return validated(
        Workflow,
        id=id,
        type=spec.type,
        mode=mode_of(spec),
        metadata=spec.metadata,
        on_failure=spec.on_failure,
        timeout_seconds=spec.timeout_seconds,
        created_by=by,
        created_at=at,
        updated_at=at,
    )
