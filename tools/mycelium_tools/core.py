"""The core profile: the tools that every agent needs. Their listing stays under 9,000 characters."""

from __future__ import annotations

from typing import Final

from mycelium_tools import agents, events, store, tasks, waiting, workflows

CORE: Final = (
    tasks.create_task,
    tasks.get_task,
    tasks.list_tasks,
    tasks.claim_task,
    tasks.update_task,
    tasks.complete_task,
    tasks.fail_task,
    tasks.cancel_task,
    agents.set_agent_status,
    agents.get_agent_status,
    agents.list_agents,
    events.publish_event,
    events.read_events,
    waiting.wait_for,
    workflows.create_workflow,
    workflows.get_workflow,
    store.get_stats,
)

INSTRUCTIONS: Final = (
    "Shared work of a team of agents. To work: claim_task, do it, update_task now and then, complete_task or "
    "fail_task; repeat. To hand work out: create_task or create_workflow. To wait: wait_for a task, a "
    "workflow or an event, or read_events with wait_seconds. Errors say what to do next."
)
