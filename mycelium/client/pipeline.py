"""Many calls in one round trip."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import anyio

from mycelium.client.agents import AgentVerbs
from mycelium.client.batches import BatchVerbs
from mycelium.client.notifications import NotificationVerbs
from mycelium.client.work import WorkVerbs
from mycelium.client.workflows import WorkflowVerbs
from mycelium.errors import InvalidInput

if TYPE_CHECKING:
    from mycelium.client.client import Mycelium

T = TypeVar("T")
P = ParamSpec("P")


class Call(Generic[T]):
    """A call that waits in a pipeline, and what became of it."""

    def __init__(self, name: str, trip: object, make: Callable[[], Awaitable[T]]) -> None:
        self.name = name
        """The verb that is called."""
        self.trip = trip
        """Neighbours that say the same travel together."""
        self.error: Exception | None = None
        """What it raised."""
        self._make = make
        self._results: list[T] = []

    def result(self) -> T:
        """What it returned; raises what it raised.

        Raises:
            InvalidInput: it was not made yet.
        """
        if self.error is not None:
            raise self.error
        if not self._results:
            raise InvalidInput(f"{self.name} was not called yet.", hint="Ask after `execute`, or after the block.")
        return self._results[0]

    async def run(self) -> None:
        """Make the call and keep its outcome."""
        try:
            self._results.append(await self._make())
        except Exception as error:  # noqa: BLE001 - the boundary: whatever goes wrong is this call's, not its neighbours'
            self.error = error


def _queued(
    verb: Callable[Concatenate[Any, P], Awaitable[T]], *, trip: str | None = None
) -> Callable[Concatenate[Pipeline, P], Call[T]]:
    """The verb with the same arguments, to be called later; without a `trip` it travels alone."""
    signature = inspect.signature(verb)

    @wraps(verb)
    def queue(self: Pipeline, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        signature.bind(self, *args, **kwargs)  # a wrong argument is told at once, before anything has happened
        return self.add(Call(verb.__name__, trip or object(), partial(verb, self.client, *args, **kwargs)))

    return queue


class Pipeline:
    """Collects calls and makes them together, so that the store takes as many as it can in one round trip.

    Each method is the client's, with the same arguments, and gives a `Call` instead of a result. Neighbours that all
    write travel together, and so do those that all read or all claim; where that changes, the next wait for those
    before them. Of neighbours that write, those on one record keep their order, and so do publications, and creations
    of tasks that name no others.

    It is no transaction: each call is done whole or not at all by itself, a failed one does not stop those behind
    it, and calls of other agents come between.
    """

    def __init__(self, client: Mycelium, *, return_errors: bool = False) -> None:
        self.client = client
        self._return_errors = return_errors
        self._calls: list[Call[Any]] = []

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call[T]) -> Call[T]:
        """Have this call made with the others."""
        self._calls.append(call)
        return call

    async def execute(self) -> list[Any]:
        """Make the calls that were collected and return their results in order. The pipeline is empty then.

        Raises the first error once all calls were made, unless the pipeline returns errors: then each stands in its
        call's place.
        """
        calls, self._calls = self._calls, []
        for _, together in groupby(calls, lambda call: call.trip):
            async with anyio.create_task_group() as travelling:
                for call in together:
                    travelling.start_soon(call.run)
        failed = [call for call in calls if call.error is not None]
        if failed and not self._return_errors:
            raise _first(failed, of=len(calls))
        return [call.error or call.result() for call in calls]

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.execute()

    store_agent_status = _queued(AgentVerbs.store_agent_status, trip="write")
    remove_agent_status = _queued(AgentVerbs.remove_agent_status, trip="write")
    create_task = _queued(BatchVerbs.create_task, trip="write")
    create_tasks = _queued(BatchVerbs.create_tasks, trip="write")
    update_task = _queued(WorkVerbs.update_task, trip="write")
    complete_task = _queued(WorkVerbs.complete_task, trip="write")
    fail_task = _queued(WorkVerbs.fail_task, trip="write")
    cancel_task = _queued(WorkVerbs.cancel_task, trip="write")
    publish_event = _queued(BatchVerbs.publish_event, trip="write")
    publish_events = _queued(BatchVerbs.publish_events, trip="write")
    notify_user = _queued(NotificationVerbs.notify_user, trip="write")
    create_workflow = _queued(WorkflowVerbs.create_workflow, trip="write")
    update_workflow = _queued(WorkflowVerbs.update_workflow, trip="write")
    complete_workflow = _queued(WorkflowVerbs.complete_workflow, trip="write")
    fail_workflow = _queued(WorkflowVerbs.fail_workflow, trip="write")
    claim_task = _queued(WorkVerbs.claim_task, trip="claim")
    update_task_status = _queued(WorkVerbs.update_task_status)
    get_task = _queued(BatchVerbs.get_task, trip="read")
    get_agent_status = _queued(AgentVerbs.get_agent_status, trip="read")
    get_workflow = _queued(WorkflowVerbs.get_workflow, trip="read")


def _first(failed: Sequence[Call[Any]], *, of: int) -> Exception:
    """The error of the first, with a note on how many there are."""
    first = failed[0].error
    assert first is not None
    first.add_note(f"{failed[0].name} in a pipeline: {len(failed)} of its {of} calls failed, the others are done.")
    return first
