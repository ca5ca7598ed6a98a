"""Dependencies: who waits for what, and what becomes of those whose wait is in vain."""

from itertools import product

import anyio
import pytest

from mycelium import Mycelium
from mycelium.models import RunWhen, TaskStatus
from tests.contract.suite.base import Contract
from tests.support.store import PATIENCE, claimed, done, failed, log, refuses, status, told

OUTCOMES: list[TaskStatus] = ["completed", "failed", "cancelled", "skipped"]
RULES: list[RunWhen] = ["all_succeeded", "all_done", "any_failed"]


def verdict(run_when: RunWhen, outcomes: tuple[TaskStatus, ...]) -> str:
    """What a task that depends on these must be, said the plain way."""
    if run_when == "all_done":
        return "ready"
    if run_when == "any_failed":
        return "ready" if "failed" in outcomes else "skipped"
    return "ready" if set(outcomes) == {"completed"} else "skipped"


async def end(m: Mycelium, task_id: str, outcome: TaskStatus) -> None:
    """Bring a task made by `begin` to this outcome."""
    match outcome:
        case "completed":
            await done(m, task_id)
        case "failed":
            await failed(m, task_id)
        case "cancelled":
            await m.cancel_task(task_id)
        case _:
            (cause,) = (await m.get_task(task_id)).depends_on
            await m.cancel_task(cause)
    assert await status(m, task_id) == outcome


async def begin(m: Mycelium, outcome: TaskStatus) -> str:
    """A task that can come to this outcome."""
    cause = [(await m.create_task("cause")).id] if outcome == "skipped" else []
    return (await m.create_task("dependency", depends_on=cause)).id


class DependencyContract(Contract):
    @pytest.mark.parametrize("run_when", RULES)
    @pytest.mark.parametrize("outcomes", list(product(OUTCOMES, repeat=2)), ids="-".join)
    async def test_two_outcomes_decide_as_the_rule_says(
        self, m: Mycelium, run_when: RunWhen, outcomes: tuple[TaskStatus, TaskStatus]
    ) -> None:
        keys = [await begin(m, outcome) for outcome in outcomes]
        early = await m.create_task("x", depends_on=keys, run_when=run_when)
        assert await status(m, early.id) == "blocked"
        for key, outcome in zip(keys, outcomes, strict=True):
            await end(m, key, outcome)
        late = await m.create_task("x", depends_on=keys, run_when=run_when)
        expected = verdict(run_when, outcomes)
        assert await status(m, early.id) == expected
        assert await status(m, late.id) == expected
        assert await told(m, early.id) == ["task.created", f"task.{expected}"]
        assert await told(m, late.id) == ["task.created", *(["task.skipped"] if expected == "skipped" else [])]

    @pytest.mark.parametrize("run_when", RULES)
    @pytest.mark.parametrize("outcome", OUTCOMES)
    async def test_one_outcome_of_two_decides_only_where_the_other_cannot_matter(
        self, m: Mycelium, run_when: RunWhen, outcome: TaskStatus
    ) -> None:
        key, other = await begin(m, outcome), (await m.create_task("open")).id
        early = await m.create_task("x", depends_on=[key, other], run_when=run_when)
        await end(m, key, outcome)
        late = await m.create_task("x", depends_on=[key, other], run_when=run_when)
        verdicts = {verdict(run_when, (outcome, another)) for another in OUTCOMES}
        expected = verdicts.pop() if len(verdicts) == 1 and run_when != "all_done" else "blocked"
        assert await status(m, early.id) == await status(m, late.id) == expected

    async def test_a_blocked_task_cannot_be_claimed(self, m: Mycelium) -> None:
        first = await m.create_task("x", assigned_to="bob")
        task = await m.create_task("x", depends_on=[first.id])
        assert await m.claim_task() is None
        async with refuses(m, "not_claimable") as caught:
            await m.claim_task(task.id)
        assert caught.value.data["depends_on"] == [first.id]
        assert await m.waiting_on(task.id) == [first.id]
        assert await m.waiting_on(first.id) == []

    async def test_a_task_waits_on_those_that_are_not_finished(self, m: Mycelium) -> None:
        keys = [(await m.create_task("x")).id for _ in range(5)]
        task = await m.create_task("x", depends_on=keys)
        await done(m, keys[1])
        assert set(await m.waiting_on(task.id)) == {keys[0], *keys[2:]}
        assert len(await m.waiting_on(task.id, limit=2)) == 2

    async def test_a_retry_is_no_outcome(self, m: Mycelium) -> None:
        first = await m.create_task("x", max_attempts=2, retry_backoff=0)
        on_success = await m.create_task("x", depends_on=[first.id])
        on_failure = await m.create_task("x", depends_on=[first.id], run_when="any_failed")
        await claimed(m, first.id)
        await m.fail_task(first.id, "x")
        assert await status(m, on_success.id) == await status(m, on_failure.id) == "blocked"
        await claimed(m, first.id)
        await m.fail_task(first.id, "x")
        assert (await status(m, on_success.id), await status(m, on_failure.id)) == ("skipped", "ready")

    async def test_skipping_goes_all_the_way_down_in_one_step(self, m: Mycelium) -> None:
        chain = [(await m.create_task("first")).id]
        for _ in range(60):
            task = await m.create_task("x", depends_on=[chain[-1]])
            chain.append(task.id)
        after = await m.create_task("x", depends_on=[chain[-1]], run_when="all_done")
        await claimed(m, chain[0])
        before = await m.last_seq()
        await m.fail_task(chain[0], "broken")
        tasks = await m.get_tasks(chain[1:])
        assert {task.status for task in tasks} == {"skipped"}
        assert await status(m, after.id) == "ready"
        told_of = [event.data["task_id"] for event in await log(m) if event.seq > before]
        assert told_of == [*chain, after.id]

    async def test_a_diamond_joins_again(self, m: Mycelium) -> None:
        top = (await m.create_task("top")).id
        left = (await m.create_task("left", depends_on=[top])).id
        right = (await m.create_task("right", depends_on=[top])).id
        bottom = (await m.create_task("bottom", depends_on=[left, right])).id
        await done(m, top)
        await done(m, left)
        assert await status(m, bottom) == "blocked"
        await done(m, right)
        assert await told(m, bottom) == ["task.created", "task.ready"]
        assert await status(m, bottom) == "ready"

    async def test_a_diamond_that_is_cut_off_at_the_top_is_decided_once(self, m: Mycelium) -> None:
        top = (await m.create_task("top")).id
        left = (await m.create_task("left", depends_on=[top])).id
        right = (await m.create_task("right", depends_on=[top])).id
        bottoms = {run_when: (await m.create_task("x", depends_on=[left, right], run_when=run_when)).id
                   for run_when in RULES}  # fmt: skip
        await m.cancel_task(top)
        for run_when, expected in (("all_succeeded", "skipped"), ("all_done", "ready"), ("any_failed", "skipped")):
            assert await told(m, bottoms[run_when]) == ["task.created", f"task.{expected}"]
            assert await status(m, bottoms[run_when]) == expected

    async def test_a_dependency_that_is_skipped_in_the_same_moment_counts_as_skipped(self, m: Mycelium) -> None:
        first = (await m.create_task("first")).id
        mend = (await m.create_task("mend", depends_on=[first], run_when="any_failed")).id
        both = {
            run_when: (await m.create_task("x", depends_on=[first, mend], run_when=run_when)).id for run_when in RULES
        }
        await done(m, first)
        assert await status(m, mend) == "skipped"
        assert await status(m, both["all_succeeded"]) == "skipped"
        assert await status(m, both["all_done"]) == "ready"
        assert await status(m, both["any_failed"]) == "skipped"

    async def test_fan_in_of_fifty_is_ready_once_the_last_completes(self, m: Mycelium, bob: Mycelium) -> None:
        keys = [(await m.create_task("part")).id for _ in range(50)]
        task = await m.create_task("join", depends_on=keys)
        for key in keys:
            await claimed(m, key)
        async with anyio.create_task_group() as group:
            for number, key in enumerate(keys):
                token = (await m.get_task(key)).token
                who = (m, bob)[number % 2]
                group.start_soon(lambda who=who, key=key, token=token: who.complete_task(key, lease_token=token))
        assert await told(m, task.id) == ["task.created", "task.ready"]
        assert await status(m, task.id) == "ready"

    async def test_fan_out_of_fifty_is_ready_at_once(self, m: Mycelium) -> None:
        first = await m.create_task("x")
        keys = [(await m.create_task("x", depends_on=[first.id])).id for _ in range(50)]
        await done(m, first.id)
        assert [(await claimed(m)).id for _ in keys] == keys

    async def test_dependents_created_while_their_dependency_completes_are_never_forgotten(
        self, m: Mycelium, bob: Mycelium
    ) -> None:
        for _ in range(10):
            first = await claimed(m, (await m.create_task("x")).id)
            made: list[str] = []

            async def create(first: str = first.id, made: list[str] = made) -> None:
                made.extend([(await bob.create_task("x", depends_on=[first])).id for _ in range(5)])

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    group.start_soon(create)
                    group.start_soon(m.complete_task, first.id)
            assert {await status(m, key) for key in made} == {"ready"}

    async def test_an_unknown_dependency_is_refused_by_name(self, m: Mycelium) -> None:
        known = await m.create_task("x")
        async with refuses(m, "unknown_dependency") as caught:
            await m.create_task("x", depends_on=["t-a", known.id, "t-b"])
        assert caught.value.data == {"missing": ["t-a", "t-b"]}

    async def test_a_failure_skips_all_of_many_that_wait_on_it(self, m: Mycelium) -> None:
        names = [f"n{number}" for number in range(self.many)]
        tasks = [{"name": "root"}, *({"name": name, "depends_on": ["root"]} for name in names)]
        last = {"name": "last", "depends_on": names, "run_when": "all_done"}
        workflow = await m.create_workflow("star", [*tasks, last])
        await failed(m, workflow.tasks[0])
        stats = await m.get_stats()
        assert (stats.tasks["skipped"], stats.ready) == (self.many, 1)
        assert await status(m, workflow.tasks[-1]) == "ready"

    async def test_a_long_chain_is_skipped_to_its_end(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("chain", [f"n{number}" for number in range(self.many)])
        await m.cancel_task(workflow.tasks[0])
        assert (await m.get_stats()).tasks == {"cancelled": 1, "skipped": self.many - 1}
        assert (await m.get_workflow(workflow.id)).status == "cancelled"
