"""What a store of Mycelium must do, said the plain way: dictionaries, loops, and seconds since the start.

Written from the design, not from the library, of which it imports nothing. It knows nothing of concurrency or storage.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FINISHED = {"completed", "failed", "cancelled", "skipped"}
URGENCY = {"low": 0, "normal": 1, "high": 2, "critical": 3}
LONGEST_PAUSE = 3600.0
GOING_ON = {"running", "paused"}
TOO_MANY_FAILURES = 5
MAX_LOST = 10
RECOVERY = 300.0


class Refusal(Exception):
    """The call must be refused with this code."""

    def __init__(self, code: str, holder: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.holder = holder


@dataclass
class Spec:
    """What is asked for when a task is created."""

    type: str = "x"
    payload: int = 0
    assigned_to: str | None = None
    depends_on: tuple[str, ...] = ()
    priority: str = "normal"
    run_when: str = "all_succeeded"
    max_attempts: int = 1
    backoff: float = 0.0
    timeout: float | None = None
    delay: float | None = None
    queue: str | None = None
    capabilities: tuple[str, ...] = ()
    asks: bool = False
    key: str | None = None

    def said(self) -> tuple[object, ...]:
        """All but the time, which passes."""
        return (self.type, self.payload, self.assigned_to, self.depends_on, self.priority, self.run_when,
                self.max_attempts, self.backoff, self.timeout, self.queue, self.capabilities, self.asks)  # fmt: skip


@dataclass
class RefTask:
    """A task and everything that can be observed of it."""

    spec: Spec
    place: int
    workflow: str | None = None
    status: str = "pending"
    blocked: bool = False
    paused: bool = False
    approved: bool = False
    not_before: float | None = None
    attempt: int = 0
    token: int = 0
    holder: str | None = None
    lease_seconds: float = 0.0
    expires: float = 0.0
    started: float = 0.0
    progress: float = 0.0


@dataclass
class RefWorkflow:
    tasks: list[str]
    on_failure: str = "continue"
    status: str = "running"


@dataclass
class RefAgent:
    status: str
    ttl: float
    last_seen: float
    note_from: float
    """When its own client will next note that it is there."""
    capabilities: tuple[str, ...] = ()
    failures: int = 0
    recovers: float | None = None
    """When it may try again, after too many failures."""


@dataclass
class Reference:
    """The whole store, and what each agent's client remembers."""

    now: float = 0.0
    tasks: dict[str, RefTask] = field(default_factory=dict[str, RefTask])
    workflows: dict[str, RefWorkflow] = field(default_factory=dict[str, RefWorkflow])
    agents: dict[str, RefAgent] = field(default_factory=dict[str, RefAgent])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    books: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """For each agent the tokens that its client remembers, by task."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """The events since `take_events`: type and what it is about."""

    def tell(self, type: str, about: str) -> None:
        self.events[type, about] += 1

    def take_events(self) -> Counter[tuple[str, str]]:
        taken, self.events = self.events, Counter()
        return taken

    # Creating

    def may_create(self, spec: Spec) -> str | None:
        """The task that this creation gives back, or None for a new one."""
        if spec.key in self.keys:
            earlier = self.keys[spec.key]
            if self.tasks[earlier].spec.said() != spec.said():
                raise Refusal("conflict")
            return earlier
        if any(key not in self.tasks for key in spec.depends_on):
            raise Refusal("unknown_dependency")
        return None

    def create(self, id: str, spec: Spec, workflow: str | None = None) -> None:
        task = RefTask(spec, place=len(self.tasks), workflow=workflow)
        if spec.delay is not None and spec.delay > 0:
            task.not_before = self.now + spec.delay
        self.tasks[id] = task
        if spec.key is not None:
            self.keys[spec.key] = id
        self.tell("task.created", id)
        verdict = self.verdict(task)
        if verdict == "skip":
            task.status = "skipped"
            self.tell("task.skipped", id)
        task.blocked = verdict == "wait"
        if verdict == "run" and spec.asks:
            self.tell("task.approval_requested", id)

    def create_workflow(self, id: str, tasks: Sequence[tuple[str, Spec]], on_failure: str = "continue") -> None:
        """`tasks` in the order in which they were made."""
        self.workflows[id] = RefWorkflow([key for key, _ in tasks], on_failure)
        self.tell("workflow.created", id)
        for key, spec in tasks:
            self.create(key, spec, workflow=id)
        self.settle()

    # What follows from what

    def verdict(self, task: RefTask) -> str:
        """Whether a task may `run`, must `wait`, or is to be skipped, as its dependencies stand."""
        statuses = [self.tasks[key].status for key in task.spec.depends_on]
        over = all(status in FINISHED for status in statuses)
        bad = any(status in FINISHED - {"completed"} for status in statuses)
        match task.spec.run_when:
            case "all_succeeded":
                return "skip" if bad else "run" if over else "wait"
            case "all_done":
                return "run" if over else "wait"
            case _:
                return "run" if "failed" in statuses else "skip" if over else "wait"

    def settle(self) -> None:
        """Go over all blocked tasks until nothing changes any more, then over the workflows, until those do not."""
        self.settle_tasks()
        while self.stop_one():
            self.settle_tasks()
        for id, workflow in self.workflows.items():
            statuses = {self.tasks[key].status for key in workflow.tasks}
            if workflow.status in GOING_ON and statuses and statuses <= FINISHED:
                workflow.status = next((bad for bad in ("failed", "cancelled") if bad in statuses), "completed")
                if workflow.on_failure == "stop" and workflow.status == "cancelled":
                    workflow.status = "failed"
                self.tell(f"workflow.{workflow.status}", id)

    def stop_one(self) -> bool:
        """End the other tasks of a workflow that does not go on after a failure, or when one is called off."""
        for workflow in self.workflows.values():
            tasks = {key: self.tasks[key].status for key in workflow.tasks}
            left = [key for key, status in tasks.items() if status not in FINISHED]
            bad = {"failed", "cancelled"}.intersection(tasks.values())
            if workflow.status in GOING_ON and workflow.on_failure == "stop" and bad and left:
                for key in left:
                    self.finish(key, "cancelled")
                return True
        return False

    def settle_tasks(self) -> None:
        changed = True
        while changed:
            changed = False
            for id, task in self.tasks.items():
                verdict = self.verdict(task) if task.blocked else "wait"
                if verdict == "wait":
                    continue
                changed, task.blocked = True, False
                if verdict == "skip":
                    task.status, task.paused = "skipped", False
                    self.tell("task.skipped", id)
                else:
                    self.let_go(id)

    def let_go(self, id: str) -> None:
        """Say what is still missing to a task that waits on no other any more."""
        task = self.tasks[id]
        if task.not_before is not None and task.not_before <= self.now:
            task.not_before = None
        if task.blocked or task.paused:
            return
        if task.spec.asks and not task.approved:
            self.tell("task.approval_requested", id)
        elif task.not_before is None:
            self.tell("task.ready", id)

    def finish(self, id: str, status: str) -> None:
        task = self.tasks[id]
        task.status, task.holder, task.blocked, task.paused = status, None, False, False
        self.tell(f"task.{status}", id)

    def give_back(self, id: str, event: str) -> None:
        task = self.tasks[id]
        task.status, task.holder = "pending", None
        self.tell(event, id)

    # Time

    def due(self, task: RefTask) -> float | None:
        if task.holder is not None:
            return min(task.expires, self.times_out(task) or task.expires)
        return task.not_before if self.is_free(task) else None

    def is_free(self, task: RefTask) -> bool:
        """Whether nothing but time stands in the way."""
        held_up = task.blocked or task.paused or (task.spec.asks and not task.approved)
        return task.status == "pending" and not held_up

    def times_out(self, task: RefTask) -> float | None:
        return None if task.spec.timeout is None else task.started + task.spec.timeout

    def let_time_act(self, id: str) -> bool:
        """Do to one task what time has brought; whether that was anything."""
        task = self.tasks[id]
        due = self.due(task)
        if due is None or due > self.now:
            return False
        timeout = self.times_out(task)
        if task.holder is None:
            task.not_before = None
            self.tell("task.ready", id)
        elif timeout is not None and timeout <= self.now:
            self.fail_attempt(id, retry=True)
        elif task.attempt >= task.spec.max_attempts + MAX_LOST:
            self.fail_for_good(id)
        else:
            self.give_back(id, "task.expired")
        return True

    def housekeep(self) -> int:
        due = [(self.agent_due(agent), self.let_time_act_on, name) for name, agent in self.agents.items()]
        due += [(self.due(task), self.let_time_act, id) for id, task in self.tasks.items()]
        come = [(at, act, key) for at, act, key in due if at is not None and at <= self.now]
        come.sort(key=lambda each: each[0])  # the longest due first: it may be what ends another one
        return sum([act(key) for _, act, key in come])

    # Agents

    def agent_due(self, agent: RefAgent) -> float | None:
        if agent.status == "offline":
            return None
        gone = agent.last_seen + agent.ttl
        return gone if agent.recovers is None else min(gone, agent.recovers)

    def let_time_act_on(self, name: str) -> bool:
        agent = self.agents[name]
        due = self.agent_due(agent)
        if due is None or due > self.now:
            return False
        if agent.last_seen + agent.ttl > self.now:
            self.recover(name, TOO_MANY_FAILURES - 1)
        else:
            agent.status = "offline"
            self.tell("agent.status", name)
        return True

    def recover(self, name: str, failures: int) -> None:
        agent = self.agents[name]
        if agent.recovers is not None and agent.status == "error":
            agent.status = "idle"
            self.tell("agent.status", name)
        agent.failures, agent.recovers = failures, None

    def note_failure(self, name: str | None) -> None:
        agent = self.agents.get(name or "")
        if agent is None or name is None:
            return
        agent.failures += 1
        if agent.failures >= TOO_MANY_FAILURES:
            agent.recovers = self.now + RECOVERY
            if agent.status != "error":
                agent.status = "error"
                self.tell("agent.status", name)

    def note_success(self, name: str | None) -> None:
        if name is not None and name in self.agents and self.agents[name].failures:
            self.recover(name, 0)

    def report(self, name: str, status: str, ttl: float, capabilities: tuple[str, ...] = ()) -> None:
        before = self.agents.get(name)
        now = RefAgent(status, ttl, self.now, self.now + min(60.0, ttl / 3), capabilities)
        marked = before is not None and before.recovers is not None
        if before is not None and not (marked and status == "idle"):
            now.failures, now.recovers = before.failures, before.recovers
        if marked and status == "busy":
            now.status = "error"
        self.agents[name] = now
        said = (now.status, ttl, capabilities)
        if before is None or (before.status, before.ttl, before.capabilities) != said:
            self.tell("agent.status", name)

    def see(self, name: str) -> None:
        agent = self.agents.get(name)
        if agent is None:
            self.report(name, "idle", 300.0)
        elif agent.note_from <= self.now:
            agent.last_seen = self.now
            agent.note_from = self.now + min(60.0, agent.ttl / 3)
            if agent.status == "offline":
                agent.status = "error" if agent.recovers is not None and agent.recovers > self.now else "idle"
                self.tell("agent.status", name)

    # Claiming

    def is_ready(self, task: RefTask) -> bool:
        waits = task.not_before is not None and task.not_before > self.now
        return self.is_free(task) and not waits

    def is_unwell(self, name: str) -> bool:
        agent = self.agents[name]
        return agent.status == "error" and (agent.recovers is None or agent.recovers > self.now)

    def can_do(self, name: str, task: RefTask) -> bool:
        return set(task.spec.capabilities) <= set(self.agents[name].capabilities)

    def next_for(self, agent: str, types: Sequence[str], queues: Sequence[str] = ()) -> str | None:
        """The most urgent and then oldest ready task that fits; time may have to act first."""
        while True:
            fitting = [
                (-URGENCY[task.spec.priority], task.place, id)
                for id, task in self.tasks.items()
                if self.is_ready(task)
                and task.spec.assigned_to in (None, agent)
                and (not types or task.spec.type in types)
                and (not queues or task.spec.queue in queues)
                and self.can_do(agent, task)
            ]
            if fitting and self.is_unwell(agent):
                raise Refusal("not_claimable")
            if fitting:
                return min(fitting)[2]
            if not self.housekeep():
                return None

    def may_claim(self, id: str, agent: str) -> None:
        task = self.known(id)
        if task.status in FINISHED:
            raise Refusal("illegal_transition")
        in_the_way = task.holder is not None or task.spec.assigned_to not in (None, agent) or not self.is_ready(task)
        unfit = self.is_unwell(agent) or not self.can_do(agent, task)
        if (in_the_way or unfit) and self.let_time_act(id):
            return self.may_claim(id, agent)
        if in_the_way or unfit:
            raise Refusal("not_claimable", task.holder)
        return None

    def claim(self, id: str, agent: str, seconds: float, token: int) -> None:
        task = self.tasks[id]
        assert token > task.token, "a token must be higher than any before"
        task.status, task.holder, task.token, task.not_before = "running", agent, token, None
        task.attempt += 1
        task.started, task.lease_seconds, task.expires = self.now, seconds, self.now + seconds
        self.books.setdefault(agent, {})[id] = token
        self.tell("task.started", id)

    # Working

    def known(self, id: str) -> RefTask:
        if id not in self.tasks:
            raise Refusal("not_found")
        return self.tasks[id]

    def held(self, id: str, token: int | None) -> RefTask:
        task = self.known(id)
        if task.status == "running" and task.token == token:
            return task
        if token is not None or task.status == "running":
            raise Refusal("stale_lease", task.holder)
        raise Refusal("illegal_transition")

    def token_for(self, agent: str, id: str, given: int | None) -> int | None:
        """The token that a call carries: the one given, else the one that the agent's client remembers."""
        return given if given is not None else self.books.get(agent, {}).get(id)

    def update(self, agent: str, id: str, given: int | None, progress: float) -> None:
        task = self.held(id, self.token_for(agent, id, given))
        task.expires, task.progress = self.now + task.lease_seconds, progress
        self.books.setdefault(agent, {})[id] = task.token
        self.tell("task.progress", id)

    def renew(self, agent: str, id: str, given: int | None) -> None:
        task = self.held(id, self.token_for(agent, id, given))
        task.expires = self.now + task.lease_seconds
        self.books.setdefault(agent, {})[id] = task.token

    def release(self, agent: str, id: str, given: int | None) -> None:
        self.held(id, self.token_for(agent, id, given)).attempt -= 1
        self.give_back(id, "task.released")
        self.forget(agent, id)

    def complete(self, agent: str, id: str, given: int | None) -> None:
        token = self.token_for(agent, id, given)
        if not self.again(id, "completed", token):
            task = self.held(id, token)
            task.progress = 1.0
            self.note_success(task.holder)
            self.finish(id, "completed")
            self.settle()
        self.forget(agent, id)

    def fail(self, agent: str, id: str, given: int | None, *, retry: bool) -> None:
        token = self.token_for(agent, id, given)
        if not self.again(id, "failed", token):
            self.held(id, token)
            self.fail_attempt(id, retry=retry)
        self.forget(agent, id)

    def again(self, id: str, status: str, token: int | None) -> bool:
        """Whether this outcome with this token is already there, so that the call is the same one again."""
        return id in self.tasks and (self.tasks[id].status, self.tasks[id].token) == (status, token)

    def fail_attempt(self, id: str, *, retry: bool) -> None:
        task = self.tasks[id]
        if retry:
            self.note_failure(task.holder)
        if retry and task.attempt < task.spec.max_attempts:
            self.give_back(id, "task.retrying")
            pause = min(task.spec.backoff * 2 ** (task.attempt - 1), LONGEST_PAUSE)
            task.not_before = self.now + pause if pause else None
        else:
            self.fail_for_good(id)

    def fail_for_good(self, id: str) -> None:
        self.finish(id, "failed")
        self.settle()

    def cancel(self, agent: str, id: str, given: int | None) -> None:
        task = self.known(id)
        if task.status != "cancelled":
            if given is not None:
                self.held(id, given)
            if task.status in FINISHED:
                raise Refusal("illegal_transition")
            self.finish(id, "cancelled")
            self.settle()
        self.forget(agent, id)

    def forget(self, agent: str, id: str) -> None:
        self.books.get(agent, {}).pop(id, None)

    # Approving

    def approve(self, id: str) -> None:
        task = self.asked(id)
        if task.approved:
            return
        task.approved = True
        self.tell("task.approved", id)
        self.let_go(id)

    def reject(self, id: str) -> None:
        if self.asked(id).approved:
            raise Refusal("illegal_transition")
        self.tell("task.rejected", id)
        self.finish(id, "cancelled")
        self.settle()

    def asked(self, id: str) -> RefTask:
        task = self.known(id)
        if task.status in FINISHED or not task.spec.asks:
            raise Refusal("illegal_transition")
        return task

    # Holding workflows up, and ending them

    def going_on(self, id: str) -> RefWorkflow:
        workflow = self.workflows[id]
        if workflow.status not in GOING_ON:
            raise Refusal("illegal_transition")
        return workflow

    def open_tasks(self, workflow: RefWorkflow) -> list[str]:
        return [key for key in workflow.tasks if self.tasks[key].status not in FINISHED]

    def pause(self, id: str) -> None:
        workflow = self.going_on(id)
        if workflow.status == "paused":
            return
        workflow.status = "paused"
        self.tell("workflow.paused", id)
        for key in self.open_tasks(workflow):
            self.tasks[key].paused = True

    def resume(self, id: str) -> None:
        workflow = self.going_on(id)
        if workflow.status == "running":
            return
        workflow.status = "running"
        self.tell("workflow.resumed", id)
        for key in self.open_tasks(workflow):
            self.tasks[key].paused = False
            if self.tasks[key].status == "pending":
                self.let_go(key)

    def retry(self, id: str) -> None:
        workflow = self.workflows[id]
        if workflow.status in GOING_ON | {"completed"} or not workflow.tasks:
            raise Refusal("illegal_transition")
        workflow.status = "running"
        self.tell("workflow.retried", id)
        for key in workflow.tasks:
            task = self.tasks[key]
            if task.status != "completed":
                task.not_before = None if task.attempt else task.not_before
                task.status, task.blocked, task.attempt, task.progress = "pending", True, 0, 0.0
        self.settle()

    def end_workflow(self, id: str, status: str) -> None:
        workflow = self.going_on(id)
        workflow.status = status
        self.tell(f"workflow.{status}", id)
        for key in workflow.tasks:
            if self.tasks[key].status not in FINISHED:
                self.finish(key, "cancelled")
        self.settle()


def refusal_of(call: Callable[[], object]) -> Refusal | None:
    """What the reference says to this call: nothing, or that it must be refused."""
    try:
        call()
    except Refusal as refusal:
        return refusal
    return None
