"""Every rule of Mycelium, once: pure functions from a view of the store and a request to a `Change`."""

from mycelium.rules.agents import expire_agent, leave_agent, remove_agent, report_agent, see_agent
from mycelium.rules.creation import create_task, create_tasks
from mycelium.rules.events import publish_event, publish_events
from mycelium.rules.leases import claim_task, grant, release_task, renew_lease, update_task
from mycelium.rules.outcomes import cancel_task, complete_task, expire_task, fail_task
from mycelium.rules.taking import take_in, take_over
from mycelium.rules.view import NO_TERMS, Change, Draft, NewEvent, Rule, Terms, View, Waiter, numbered, require
from mycelium.rules.workflows import create_workflow, finish_workflow, update_workflow

__all__ = [
    "NO_TERMS",
    "Change",
    "Draft",
    "NewEvent",
    "Rule",
    "Terms",
    "View",
    "Waiter",
    "cancel_task",
    "claim_task",
    "complete_task",
    "create_task",
    "create_tasks",
    "create_workflow",
    "expire_agent",
    "expire_task",
    "fail_task",
    "finish_workflow",
    "grant",
    "leave_agent",
    "numbered",
    "publish_event",
    "publish_events",
    "release_task",
    "remove_agent",
    "renew_lease",
    "report_agent",
    "require",
    "see_agent",
    "take_in",
    "take_over",
    "update_task",
    "update_workflow",
]
