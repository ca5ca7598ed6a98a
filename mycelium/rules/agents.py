"""Agents come, say what they do, and fall silent."""

from __future__ import annotations

from mycelium.models import AGENTS, Agent, AgentReport, AgentStatus, validated
from mycelium.rules.draft import Draft
from mycelium.rules.health import MAX_FAILURES, may_try, recover
from mycelium.rules.view import Change, View, require


def report_agent(view: View, name: str, report: AgentReport) -> Change[Agent]:
    """Take down what an agent says of itself. An event tells when anything but the time changed."""
    before = view.get(Agent, name)
    draft = Draft(view)
    version = before.version + 1 if before else 1
    agent = Agent.of(report, name=name, last_updated=view.now, version=version)
    if before is not None:
        agent = draft.put(agent.model_copy(update=_remembered(before, report.status)))
    else:
        draft.put(agent)
    if before is None or any(getattr(before, field) != getattr(agent, field) for field in AgentReport.model_fields):
        _tell(draft, agent, before, source=name)
    return draft.change(agent)


def _remembered(before: Agent, status: AgentStatus) -> dict[str, object]:
    """What an agent that was marked stays, whatever it says of itself but that it is idle, and how often it failed."""
    if before.recovers_at is None:
        return {"failures": before.failures}
    if status == "idle":
        return {}
    marked: dict[str, object] = {"failures": before.failures, "recovers_at": before.recovers_at}
    return {**marked, "status": "error"} if status == "busy" else marked


def see_agent(view: View, name: str) -> Change[Agent]:
    """Note that an agent is alive. One that was unknown or offline is idle now."""
    before = view.get(Agent, name)
    draft = Draft(view)
    if before is None:
        agent = draft.put(validated(Agent, name=name, last_updated=view.now))
    else:
        marked = before.recovers_at is not None and not may_try(before, view.now)
        status = ("error" if marked else "idle") if before.status == "offline" else before.status
        agent = draft.put(before.changed(status=status, last_updated=view.now))
    if before is None or before.status != agent.status:
        _tell(draft, agent, before, source=name)
    return draft.change(agent)


def remove_agent(view: View, name: str) -> Change[Agent]:
    """Forget an agent."""
    agent = require(view, Agent, name)
    draft = Draft(view)
    draft.event(AGENTS, "agent.removed", name, agent=name)
    return Change(agent, removes=(agent,), events=draft.events)


def leave_agent(view: View, name: str) -> Change[Agent | None]:
    """Mark an agent offline that says goodbye."""
    before = view.get(Agent, name)
    if before is None or before.status == "offline":
        return Change(before)
    return _offline(view, before, source=name)


def expire_agent(view: View, name: str) -> Change[Agent | None]:
    """Mark an agent offline whose time to live has passed, or let one that failed too often try again."""
    before = view.get(Agent, name)
    if before is None or before.due_at is None or before.due_at > view.now:
        return Change(None)
    if before.gone_at > view.now:
        draft = Draft(view)
        return draft.change(recover(draft, before, failures=MAX_FAILURES - 1))
    return _offline(view, before, source=None)


def _offline(view: View, before: Agent, source: str | None) -> Change[Agent | None]:
    draft = Draft(view)
    agent = draft.put(before.changed(status="offline"))
    _tell(draft, agent, before, source=source)
    return draft.change(agent)


def _tell(draft: Draft, agent: Agent, before: Agent | None, source: str | None) -> None:
    previous = before.status if before and before.status != agent.status else None
    draft.event(AGENTS, "agent.status", source, agent=agent.name, status=agent.status, previous=previous)
