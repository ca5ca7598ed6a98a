"""Random agents that do the same to a store and to a plain reference, and compare after every step."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mycelium import Mycelium, MyceliumError
from mycelium.backend import Backend
from mycelium.models import Event, Task
from mycelium.rules.fitting import misfits
from tests.contract.reference import FINISHED, Reference, Refusal, Spec, refusal_of
from tests.support.clock import FakeClock

T = TypeVar("T")
AGENTS = ("ada", "bob", "eve")

agents = st.sampled_from(AGENTS)
choices = st.integers(0, 10_000)
"""Stands for one of what is there, by its place."""
tokens = st.sampled_from(["remembered", "remembered", "current", "older", "never given"])
endings = st.sampled_from(["complete", "complete", "fail", "fail", "fail for good", "cancel"])
specs = st.builds(
    Spec,
    type=st.sampled_from("xy"),
    payload=st.integers(0, 1),
    assigned_to=st.sampled_from([None, None, None, *AGENTS]),
    priority=st.sampled_from(["low", "normal", "high", "critical"]),
    run_when=st.sampled_from(["all_succeeded", "all_done", "any_failed"]),
    max_attempts=st.integers(1, 3),
    backoff=st.sampled_from([0.0, 0.0, 1.0, 30.0, 3000.0]),
    timeout=st.sampled_from([None, None, 5.0, 50.0]),
    delay=st.sampled_from([None, None, None, -5.0, 5.0, 100.0]),
    queue=st.sampled_from([None, None, None, "q"]),
    capabilities=st.sampled_from([(), (), (), (), ("gpu",)]),
    asks=st.sampled_from([False] * 6 + [True]),
)


class Agents(RuleBasedStateMachine):
    """Each rule does one thing to the reference and to the store, and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.start = self.clock()
        self.reference = Reference()
        self.place = Path(tempfile.mkdtemp(prefix="mycelium-"))
        self.stack = ExitStack()
        self.stack.callback(shutil.rmtree, self.place)
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.backends = self.portal.call(self.open, self.place, self.clock)
        for backend in self.backends:
            self.stack.callback(self.portal.call, backend.aclose)
        self.clients = {name: self.client(name, number) for number, name in enumerate(AGENTS)}
        self.read = 0
        self.outcomes: dict[str, str] = {}
        self.given: dict[str, list[int]] = {}
        self.retried: set[str] = set()
        """The tasks that a retry took back from their outcome."""

    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        """One store, and as many ways into it as there can be processes."""
        raise NotImplementedError

    def client(self, name: str, number: int) -> Mycelium:
        backend = self.backends[number % len(self.backends)]
        opened = Mycelium.over(backend, agent=name, clock=self.clock, background=False)
        return self.stack.enter_context(self.portal.wrap_async_context_manager(opened))

    def teardown(self) -> None:
        self.stack.close()

    def ask(self, call: Callable[[], Awaitable[T]], refusal: Refusal | None) -> T | None:
        """Call the store, which must refuse as the reference did, or not at all."""

        async def run() -> T | MyceliumError:
            try:
                return await call()
            except MyceliumError as error:
                return error

        answer = self.portal.call(run)
        if isinstance(answer, MyceliumError):
            assert refusal is not None, f"refused with {answer.code}: {answer}"
            assert answer.code == refusal.code, str(answer)
            if refusal.code == "stale_lease":
                assert answer.data.get("holder") == refusal.holder
            return None
        assert refusal is None, f"taken, but to be refused with {refusal.code}"
        return answer

    def task_at(self, choice: int) -> str:
        ids = list(self.reference.tasks)
        return ids[choice % len(ids)] if ids else "t-nowhere"

    def token(self, kind: str, id: str) -> int | None:
        """A token to show, or None to let the client remember it."""
        given = self.given.get(id, [])
        match kind:
            case "current" if given:
                return given[-1]
            case "older" if given:
                return given[0]
            case "never given":
                return 7
            case _:
                return None

    # Creating

    @initialize(fan=st.integers(0, 3), joins=st.lists(specs, max_size=3))
    def fan_in(self, fan: int, joins: list[Spec]) -> None:
        """A story begins with some tasks, and others that wait on all of them."""
        for _ in range(fan):
            self.create("ada", Spec(), [], key=None, unknown=False)
        for spec in joins:
            self.create("bob", spec, list(range(fan)), key=None, unknown=False)

    @rule(
        agent=agents,
        spec=specs,
        depends_on=st.lists(choices, max_size=3),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
        unknown=st.sampled_from([False] * 9 + [True]),
    )
    def create(self, agent: str, spec: Spec, depends_on: list[int], key: str | None, unknown: bool) -> None:
        spec.key = key
        wanted = [self.task_at(choice) for choice in depends_on if self.reference.tasks]
        spec.depends_on = tuple(dict.fromkeys([*wanted, "t-nowhere"] if unknown else wanted))
        earlier: list[str | None] = []
        refusal = refusal_of(lambda: earlier.append(self.reference.may_create(spec)))
        task = self.ask(lambda: self.clients[agent].create_task(**self.said(spec)), refusal)
        if task is None:
            return
        if earlier == [None]:
            assert task.id not in self.reference.tasks
            self.reference.create(task.id, spec)
        else:
            assert [task.id] == earlier

    def said(self, spec: Spec) -> dict[str, Any]:
        delay = spec.delay
        return {
            "type": spec.type,
            "payload": {"n": spec.payload},
            "assigned_to": spec.assigned_to,
            "depends_on": spec.depends_on,
            "priority": spec.priority,
            "run_when": spec.run_when,
            "max_attempts": spec.max_attempts,
            "retry_backoff": spec.backoff,
            "timeout_seconds": spec.timeout,
            "not_before": None if delay is None else self.clock() + timedelta(seconds=delay),
            "queue": spec.queue,
            "capabilities": spec.capabilities,
            "approval": "Sure?" if spec.asks else None,
            "idempotency_key": spec.key,
        }

    @rule(
        agent=agents,
        mode=st.sampled_from(["sequential", "parallel", "dag"]),
        on_failure=st.sampled_from(["continue", "stop"]),
        wanted=st.lists(st.tuples(specs, st.lists(st.integers(0, 3), max_size=2)), max_size=4),
        outside=st.lists(choices, max_size=2),
        fault=st.sampled_from([None] * 6 + ["cycle", "unknown"]),
    )
    def create_workflow(
        self,
        agent: str,
        mode: Any,
        on_failure: Any,
        wanted: list[tuple[Spec, list[int]]],
        outside: list[int],
        fault: str | None,
    ) -> None:
        tasks: list[dict[str, Any]] = []
        for number, (spec, after) in enumerate(wanted):
            siblings = [f"n{other}" for other in after if other < number]
            others = [self.task_at(choice) for choice in outside if self.reference.tasks]
            tasks.append({**self.said(spec), "name": f"n{number}", "depends_on": [*siblings, *others]})
        refusal = None
        if fault is not None and tasks:
            tasks[0]["depends_on"].append(tasks[-1]["name"] if fault == "cycle" else "t-nowhere")
            if fault == "cycle" and len(tasks) > 1:
                tasks[-1]["depends_on"].append("n0")
            refusal = Refusal("dependency_cycle" if fault == "cycle" else "unknown_dependency")
        made = self.ask(
            lambda: self.clients[agent].create_workflow("w", tasks, mode=mode, on_failure=on_failure), refusal
        )
        if made is None:
            return
        assert made.tasks == tuple(f"{made.id}.{task['name']}" for task in tasks)
        specified: dict[str, Spec] = {}
        for number, (task, (spec, _)) in enumerate(zip(tasks, wanted, strict=True)):
            before = [f"n{number - 1}"] if mode == "sequential" and number else []
            names = dict.fromkeys([*task["depends_on"], *before])
            key = made.tasks[number]
            spec.depends_on = tuple(f"{made.id}.{name}" if name[0] == "n" else name for name in names)
            specified[key] = spec
        order = [key for key in self.created_order() if key in specified]
        self.reference.create_workflow(made.id, [(key, specified[key]) for key in order], on_failure)

    def created_order(self) -> list[str]:
        """The tasks in the order in which the log says they were made, which is also that of their age."""
        return [str(event.data["task_id"]) for event in self.new_events() if event.type == "task.created"]

    # Claiming

    @rule(
        agent=agents,
        types=st.sampled_from([(), (), (), ("x",), ("x", "y"), ("z",)]),
        queues=st.sampled_from([(), (), (), ("q",), ("p", "q")]),
        seconds=st.sampled_from([10, 90]),
    )
    def claim_next(self, agent: str, types: tuple[str, ...], queues: tuple[str, ...], seconds: float) -> None:
        self.reference.see(agent)
        expected: list[str | None] = [None]
        refusal = refusal_of(lambda: expected.append(self.reference.next_for(agent, types, queues)))
        client = self.clients[agent]
        task = self.ask(lambda: client.claim_task(types=types, queues=queues, lease_seconds=seconds), refusal)
        assert (task.id if task else None) == expected[-1]
        self.note_claim(task, agent, seconds)

    @rule(agent=agents, choice=choices, seconds=st.sampled_from([10, 90]))
    def claim_named(self, agent: str, choice: int, seconds: float) -> None:
        id = self.task_at(choice)
        self.reference.see(agent)
        refusal = refusal_of(lambda: self.reference.may_claim(id, agent))
        task = self.ask(lambda: self.clients[agent].claim_task(id, lease_seconds=seconds), refusal)
        assert task is None or task.id == id
        self.note_claim(task, agent, seconds)

    def note_claim(self, task: Task | None, agent: str, seconds: float) -> None:
        if task is not None:
            assert task.lease is not None
            self.given.setdefault(task.id, []).append(task.lease.token)
            self.reference.claim(task.id, agent, seconds, task.lease.token)

    # Working

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens, progress=st.sampled_from([0.0, 0.5, 1.0]))
    def update(self, agent: str, choice: int, kind: str, progress: float) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.update(agent, id, token, progress))
        self.ask(lambda: self.clients[agent].update_task(id, progress=progress, lease_token=token), refusal)

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens)
    def renew(self, agent: str, choice: int, kind: str) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.renew(agent, id, token))
        self.ask(lambda: self.clients[agent].renew_lease(id, lease_token=token), refusal)

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens)
    def release(self, agent: str, choice: int, kind: str) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.release(agent, id, token))
        self.ask(lambda: self.clients[agent].update_task(id, release=True, lease_token=token), refusal)

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens)
    def complete(self, agent: str, choice: int, kind: str) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.complete(agent, id, token))
        self.ask(lambda: self.clients[agent].complete_task(id, lease_token=token), refusal)

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens, retry=st.booleans())
    def fail(self, agent: str, choice: int, kind: str, retry: bool) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.fail(agent, id, token, retry=retry))
        self.ask(lambda: self.clients[agent].fail_task(id, "broken", retry=retry, lease_token=token), refusal)

    @precondition(lambda self: any(self.reference.books.values()))
    @rule(choice=choices, ending=endings)
    def finish_own(self, choice: int, ending: str) -> None:
        """An agent ends what it believes it holds."""
        believed = [(agent, id) for agent, book in self.reference.books.items() for id in book]
        agent, id = believed[choice % len(believed)]
        self.end(agent, id, ending)

    @rule(agent=agents, wanted=st.lists(st.tuples(endings, st.sampled_from([0, 0, 1, 30, 60])), max_size=6))
    def work_through(self, agent: str, wanted: list[tuple[str, float]]) -> None:
        """An agent takes one task after another and ends each: what agents mostly do."""
        for ending, rest in wanted:
            self.claim_next(agent, (), (), 90)
            for id in list(self.reference.books.get(agent, {})):
                self.end(agent, id, ending)
            self.time_passes(rest, housekeep=False)

    def end(self, agent: str, id: str, ending: str) -> None:
        client = self.clients[agent]
        if ending == "cancel":
            refusal = refusal_of(lambda: self.reference.cancel(agent, id, None))
            self.ask(lambda: client.cancel_task(id), refusal)
        elif ending == "complete":
            refusal = refusal_of(lambda: self.reference.complete(agent, id, None))
            self.ask(lambda: client.complete_task(id), refusal)
        else:
            retry = ending == "fail"
            refusal = refusal_of(lambda: self.reference.fail(agent, id, None, retry=retry))
            self.ask(lambda: client.fail_task(id, "broken", retry=retry), refusal)

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, kind=tokens)
    def cancel(self, agent: str, choice: int, kind: str) -> None:
        id = self.task_at(choice)
        token = self.token(kind, id)
        refusal = refusal_of(lambda: self.reference.cancel(agent, id, token))
        self.ask(lambda: self.clients[agent].cancel_task(id, lease_token=token), refusal)

    @precondition(lambda self: self.reference.workflows)
    @rule(agent=agents, choice=choices, ending=st.sampled_from(["completed", "failed", "cancelled"]))
    def end_workflow(self, agent: str, choice: int, ending: str) -> None:
        ids = list(self.reference.workflows)
        id = ids[choice % len(ids)]
        refusal = refusal_of(lambda: self.reference.end_workflow(id, ending))
        client = self.clients[agent]
        verbs: dict[str, Callable[[], Awaitable[Any]]] = {
            "completed": lambda: client.complete_workflow(id),
            "failed": lambda: client.fail_workflow(id, "broken"),
            "cancelled": lambda: client.cancel_workflow(id),
        }
        self.ask(verbs[ending], refusal)

    @precondition(lambda self: self.reference.workflows)
    @rule(agent=agents, choice=choices, verb=st.sampled_from(["pause", "resume", "retry", "retry"]))
    def hold_workflow(self, agent: str, choice: int, verb: str) -> None:
        ids = list(self.reference.workflows)
        id = ids[choice % len(ids)]
        before = {key: self.reference.tasks[key].status for key in self.reference.workflows[id].tasks}
        refusal = refusal_of(lambda: getattr(self.reference, verb)(id))
        self.ask(lambda: getattr(self.clients[agent], f"{verb}_workflow")(id), refusal)
        if verb == "retry" and refusal is None:
            again = {key for key, status in before.items() if status != "completed"}
            self.retried |= again
            self.outcomes = {key: status for key, status in self.outcomes.items() if key not in again}

    @precondition(lambda self: self.reference.tasks)
    @rule(agent=agents, choice=choices, yes=st.sampled_from([True, True, False]))
    def answer(self, agent: str, choice: int, yes: bool) -> None:
        """A person says yes or no, mostly to what asks for it."""
        asking = [id for id, task in self.reference.tasks.items() if task.spec.asks] or list(self.reference.tasks)
        id, client = asking[choice % len(asking)], self.clients[agent]
        if yes:
            refusal = refusal_of(lambda: self.reference.approve(id))
            self.ask(lambda: client.approve_task(id, by="Eve"), refusal)
        else:
            refusal = refusal_of(lambda: self.reference.reject(id))
            self.ask(lambda: client.reject_task(id, by="Eve"), refusal)

    # Time and presence

    @rule(seconds=st.sampled_from([0.5, 1, 5, 10, 60, 100, 400]), housekeep=st.booleans())
    def time_passes(self, seconds: float, housekeep: bool) -> None:
        self.reference.now += seconds
        self.clock.advance(seconds)
        if housekeep:
            changed = self.reference.housekeep()
            assert self.ask(self.clients["bob"].housekeep, None) == changed

    @rule(
        agent=agents,
        status=st.sampled_from(["idle", "busy", "error", "offline"]),
        ttl=st.sampled_from([10.0, 300.0]),
        capabilities=st.sampled_from([(), ("gpu",)]),
    )
    def report(self, agent: str, status: Any, ttl: float, capabilities: tuple[str, ...]) -> None:
        self.reference.report(agent, status, ttl, capabilities)
        client = self.clients[agent]
        self.ask(lambda: client.store_agent_status(status=status, ttl=ttl, capabilities=capabilities), None)

    # What must hold after every step

    def new_events(self) -> list[Event]:
        page = self.ask(lambda: self.clients["ada"].read_events(after=self.read, limit=1000), None)
        assert page is not None
        return page.events

    @invariant()
    def events_are_numbered_without_gaps_and_tell_each_change_once(self) -> None:
        events = self.new_events()
        assert [event.seq for event in events] == list(range(self.read + 1, self.read + 1 + len(events)))
        self.read += len(events)
        names = {"tasks:events": "task_id", "agents:events": "agent", "workflows:events": "workflow_id"}
        told = Counter((event.type, str(event.data[names[event.channel]])) for event in events)
        assert told == self.reference.take_events()

    @invariant()
    def tasks_are_as_the_reference_says(self) -> None:
        listed = self.records()
        assert list(listed) == list(self.reference.tasks)[::-1]
        for id, task in listed.items():
            expected = self.reference.tasks[id]
            at = None if task.not_before is None else (task.not_before - self.start).total_seconds()
            ends = None if task.lease is None else (task.lease.expires_at - self.start).total_seconds()
            assert (task.status, task.blocked, task.attempt, task.token, task.agent, at, ends, task.progress) == (
                expected.status, expected.blocked, expected.attempt, expected.token, expected.holder,
                expected.not_before, expected.expires if expected.holder else None, expected.progress,
            )  # fmt: skip
            assert (task.paused, task.approved is not None) == (expected.paused, expected.approved)
            self.is_sound(task, listed)

    @invariant()
    def records_fit_each_other(self) -> None:
        workflows = self.ask(lambda: self.clients["ada"].list_workflows(limit=1000), None)
        assert workflows is not None
        assert list(misfits([*self.records().values(), *workflows.records])) == []

    def records(self) -> dict[str, Task]:
        """All tasks, newest first."""
        page = self.ask(lambda: self.clients["bob"].list_tasks(limit=1000), None)
        assert page is not None
        return {task.id: task for task in page.records}

    def is_sound(self, task: Task, listed: dict[str, Task]) -> None:
        """What holds of a task whatever the reference says."""
        assert (task.lease is not None) == (task.status == "running")
        if task.lease is not None:
            assert task.lease.token == task.token == self.given[task.id][-1]
        assert self.given.get(task.id, []) == sorted(set(self.given.get(task.id, [])))
        assert self.outcomes.setdefault(task.id, task.status) == task.status or self.outcomes[task.id] not in FINISHED
        self.outcomes[task.id] = task.status
        before = {listed[key].status for key in task.depends_on}
        if task.attempt and not self.retried.intersection(task.depends_on):
            match task.run_when:
                case "all_succeeded":
                    assert before <= {"completed"}
                case "all_done":
                    assert before <= FINISHED
                case "any_failed":
                    assert "failed" in before

    @invariant()
    def ready_tasks_are_those_of_the_reference(self) -> None:
        page = self.ask(lambda: self.clients["eve"].list_tasks(ready=True, limit=1000), None)
        assert page is not None
        expected = [id for id, task in self.reference.tasks.items() if self.reference.is_ready(task)]
        assert [task.id for task in page.records] == expected[::-1]

    @invariant()
    def workflows_and_agents_are_as_the_reference_says(self) -> None:
        workflows = self.ask(lambda: self.clients["ada"].list_workflows(limit=1000), None)
        assert workflows is not None
        assert {each.id: each.status for each in workflows.records} == {
            id: each.status for id, each in self.reference.workflows.items()
        }
        known = self.ask(self.clients["ada"].list_agents, None)
        assert known is not None
        holders = {task.holder for task in self.reference.tasks.values()}
        assert {agent.name: agent.status for agent in known.records} == {
            name: "busy" if agent.status == "idle" and name in holders else agent.status
            for name, agent in self.reference.agents.items()
        }
