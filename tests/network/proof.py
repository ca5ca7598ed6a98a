"""What must be true of a store and of its answers, whatever happened to workers and broker."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mycelium import Mycelium
from mycelium.models import Event, Task
from tests.network.crowd import Answers
from tests.support.store import log
from tests.workflows.history import problems_in


async def problems(m: Mycelium, ids: Sequence[str], answers: Answers) -> list[str]:
    """What is wrong: each of these tasks is to be completed once, by one holder at a time, and answered once."""
    events, found = await log(m), await m.backend.get(Task, ids)
    tasks = [task for task in found if task is not None]
    lost = [f"{id} is not in the store" for id, task in zip(ids, found, strict=True) if task is None]
    return [*lost, *problems_in(events, tasks), *leases_in(events, tasks), *outcomes_of(tasks), *answered(ids, answers)]


def leases_in(events: Iterable[Event], tasks: Iterable[Task]) -> list[str]:
    """Whether the tokens of a task's leases grow with its attempts, and the last one has completed it."""
    leases: dict[str, set[tuple[int, int]]] = defaultdict(set)
    wrong: list[str] = []
    for event in events:
        if event.type == "attempt.began":
            id, attempt, token = (event.data[name] for name in ("task_id", "attempt", "token"))
            assert isinstance(id, str)
            assert isinstance(attempt, int)
            assert isinstance(token, int)
            leases[id].add((attempt, token))
    for id, of_task in leases.items():
        tokens = [token for _, token in sorted(of_task)]  # an attempt that was given back has the same number again
        if sorted(set(tokens)) != tokens:
            wrong.append(f"{id}: its tokens do not grow: {tokens}")
    return wrong + [
        f"{task.id} was completed with {(task.result or {}).get('token')}, its lease was {task.token}"
        for task in tasks
        if (task.result or {}).get("token", task.token) != task.token
    ]


def outcomes_of(tasks: Iterable[Task]) -> list[str]:
    return [f"{task.id} is {task.status}: {task.error}" for task in tasks if task.status != "completed"]


def answered(ids: Sequence[str], answers: Answers) -> list[str]:
    """Whether each task has one answer, copies of which have the same message id, and nothing else was answered."""
    wrong = [f"{id} has no answer" for id in sorted(answers.missing(ids))]
    wrong += [f"{id} was never asked for" for id in sorted(answers.by_task.keys() - set(ids))]
    for id, found in answers.by_task.items():
        if len(found) > 1:
            wrong.append(f"{id} has {len(found)} answers: {', '.join(found)}")
        wrong += [f"{id} is answered with {each['status']}" for each in found.values() if each["status"] != "completed"]
    return wrong
