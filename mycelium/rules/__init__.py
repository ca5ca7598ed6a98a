"""Every rule of Mycelium, once: pure functions from a view of the store and a request to a `Change`."""

from mycelium.rules.agents import expire_agent, leave_agent, remove_agent, report_agent, see_agent
from mycelium.rules.approvals import approve_task, reject_task
from mycelium.rules.creation import create_task, create_tasks
from mycelium.rules.draft import Draft
from mycelium.rules.duties import keep_duty, keep_house, leave_duty, take_duty
from mycelium.rules.events import notify_user, publish_event, publish_events
from mycelium.rules.firing import fire_for_event, fire_on_statistic, fire_on_time, is_like, matches
from mycelium.rules.leases import claim_task, grant, lacks_only_a_yes, renew_lease
from mycelium.rules.outcomes import cancel_task, complete_task, expire_task, fail_task
from mycelium.rules.progress import release_task, update_task
from mycelium.rules.receiving import Claimant, Received, receive_event, receive_task, receive_workflow, take_announced
from mycelium.rules.retrying import retry_task, retry_workflow
from mycelium.rules.taking import take_in, take_over
from mycelium.rules.triggers import create_trigger, remove_trigger, set_trigger, statistic
from mycelium.rules.view import NO_TERMS, Change, NewEvent, Rule, Terms, View, Waiter, numbered, require
from mycelium.rules.workflows import (
    create_workflow,
    expire_workflow,
    finish_workflow,
    pause_workflow,
    resume_workflow,
    update_workflow,
)

__all__ = [
    "NO_TERMS",
    "Change",
    "Claimant",
    "Draft",
    "NewEvent",
    "Received",
    "Rule",
    "Terms",
    "View",
    "Waiter",
    "approve_task",
    "cancel_task",
    "claim_task",
    "complete_task",
    "create_task",
    "create_tasks",
    "create_trigger",
    "create_workflow",
    "expire_agent",
    "expire_task",
    "expire_workflow",
    "fail_task",
    "finish_workflow",
    "fire_for_event",
    "fire_on_statistic",
    "fire_on_time",
    "grant",
    "is_like",
    "keep_duty",
    "keep_house",
    "lacks_only_a_yes",
    "leave_agent",
    "leave_duty",
    "matches",
    "notify_user",
    "numbered",
    "pause_workflow",
    "publish_event",
    "publish_events",
    "receive_event",
    "receive_task",
    "receive_workflow",
    "reject_task",
    "release_task",
    "remove_agent",
    "remove_trigger",
    "renew_lease",
    "report_agent",
    "require",
    "resume_workflow",
    "retry_task",
    "retry_workflow",
    "see_agent",
    "set_trigger",
    "statistic",
    "take_announced",
    "take_duty",
    "take_in",
    "take_over",
    "update_task",
    "update_workflow",
]
