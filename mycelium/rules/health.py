"""How well an agent does: one that fails again and again gets no new work until it recovers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from mycelium.errors import NotClaimable
from mycelium.models import AGENTS, Agent, Task
from mycelium.rules.draft import Draft
from mycelium.rules.view import View

MAX_FAILURES: Final = 5
"""So many failed attempts in a row mark an agent `error`."""
RECOVERY: Final = 300.0
"""Seconds after which such an agent may try one more time."""


def note_failure(draft: Draft, name: str | None) -> None:
    """An attempt of this agent has failed."""
    agent = draft.get(Agent, name) if name is not None else None
    if agent is None:
        return
    failures = agent.failures + 1
    if failures < MAX_FAILURES:
        draft.put(agent.changed(failures=failures))
        return
    recovers_at = draft.view.now + timedelta(seconds=RECOVERY)
    marked = draft.put(agent.changed(failures=failures, status="error", recovers_at=recovers_at))
    if agent.status != "error":
        draft.event(
            AGENTS, "agent.status", None,
            agent=agent.name, status="error", previous=agent.status, failures=marked.failures,
        )  # fmt: skip


def note_success(draft: Draft, name: str | None) -> None:
    """An attempt of this agent has succeeded."""
    agent = draft.get(Agent, name) if name is not None else None
    if agent is not None and agent.failures:
        recover(draft, agent, failures=0)


def recover(draft: Draft, agent: Agent, *, failures: int) -> Agent:
    """Let an agent have work again, if it was marked."""
    marked = agent.recovers_at is not None
    status = "idle" if marked and agent.status == "error" else agent.status
    if status != agent.status:
        draft.event(AGENTS, "agent.status", None, agent=agent.name, status=status, previous=agent.status)
    return draft.put(agent.changed(failures=failures, status=status, recovers_at=None))


def may_try(agent: Agent, now: datetime) -> bool:
    """Whether it is time for an agent that was marked to try again, whoever has noticed that."""
    return agent.recovers_at is not None and agent.recovers_at <= now


def unfit(view: View, task: Task, name: str) -> NotClaimable | None:
    """Why this agent may not have this task now, or None."""
    agent = view.get(Agent, name)
    if agent is not None and agent.status == "error" and not may_try(agent, view.now):
        return _unwell(task, agent)
    missing = sorted(set(task.capabilities) - set(agent.capabilities if agent else ()))
    if not missing:
        return None
    return NotClaimable(
        f"{task.id} needs {', '.join(missing)}, which {name} has not said it can do.",
        hint="Say it with set_agent_status capabilities=[...], or leave the task to others.",
        task_id=task.id,
        agent=name,
        missing=missing,
    )


def _unwell(task: Task, agent: Agent) -> NotClaimable:
    why = f"failed {agent.failures} times in a row and" if agent.recovers_at else "said that it"
    until = f" until {agent.recovers_at.isoformat(timespec='seconds')}" if agent.recovers_at else ""
    return NotClaimable(
        f"{agent.name} {why} is in error, so it gets no new work{until}.",
        hint="When it is well again: set_agent_status status=idle.",
        task_id=task.id,
        agent=agent.name,
        status="error",
        recovers_at=agent.recovers_at.isoformat() if agent.recovers_at else None,
    )
