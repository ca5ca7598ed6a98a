"""Asking the person at the other end, through the MCP client's own prompt, for the yes that a task waits for.

The agent that calls a tool has no part in it: the client shows the question to its user, and passes on what they say.
In the handshake era the server asks in between; in the stateless one it answers with the question, and the client calls
again with the person's answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict, ValidationError

from mycelium import Mycelium, rules
from mycelium.models import Task
from mycelium.models.base import is_id
from mycelium_server.session import Session, session_of
from mycelium_tools.registry import Tool
from mycelium_tools.tasks import claim_task, get_task
from mycelium_tools.waiting import wait_for

log = logging.getLogger("mycelium.server")

ASKING: Final = frozenset({claim_task, get_task, wait_for})
"""The tools that ask on behalf of the task they are called with."""
FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "approve": {"type": "boolean", "title": "Yes", "description": "Let it be done; no calls the task off"},
        "note": {"type": "string", "title": "Note", "description": "For whoever does it"},
    },
    "required": ["approve"],
}


class Answer(BaseModel):
    """What a person fills in."""

    model_config = ConfigDict(strict=True)

    approve: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sits at the client that made this call."""

    context: ServerRequestContext[Session, Any]
    params: CallToolRequestParams

    async def asked(self, m: Mycelium, tool: Tool, arguments: dict[str, Any]) -> InputRequiredResult | None:
        """Ask for the yes that the call's task waits for, if the client can, and keep what is said.

        Declined, dismissed or unreadable is no answer, and then this connection does not ask again. Gives the question
        where the client is to call again with the answer.
        """
        task_id = arguments.get("task_id")
        if tool not in ASKING or task_id is None or not self._can_be_asked:
            return None
        (task,) = await m.get_tasks([task_id]) or [None]
        if task is None or not _waits(task) or _question(task) in self._session.unanswered:
            return None
        if tool is claim_task and not await _could_claim(m, task, arguments.get("agent") or m.agent):
            return None
        if self.context.protocol_version in MODERN_PROTOCOL_VERSIONS and not self._answers(task):
            return InputRequiredResult(input_requests={task.id: _request(task)}, request_state=_question(task))
        await self._keep(m, task, await self._said(task))
        return None

    @property
    def _session(self) -> Session:
        return session_of(self.context)

    @property
    def _can_be_asked(self) -> bool:
        """Whether the client can show a form. One that says nothing of forms and links is of the time before links."""
        said = self.context.session.client_capabilities
        how = said.elicitation if said is not None else None
        return how is not None and (how.form is not None or how.url is None)

    def _answers(self, task: Task) -> bool:
        """Whether this call brings an answer to the question that the task asks now."""
        return task.id in (self.params.input_responses or {}) and self.params.request_state == _question(task)

    async def _said(self, task: Task) -> object:
        if self._answers(task):
            return (self.params.input_responses or {})[task.id]
        try:
            return await self.context.session.elicit_form(
                _message(task), FORM, related_request_id=self.context.request_id
            )
        except (MCPError, ValidationError) as error:
            log.info("the client did not ask about %s: %s", task.id, error)
            return None

    async def _keep(self, m: Mycelium, task: Task, said: object) -> None:
        answer = _answer(said)
        if answer is None:
            self._session.unanswered.add(_question(task))
        elif answer.approve:
            await m.approve_task(task.id, by=self._name, note=answer.note)
        else:
            await m.reject_task(task.id, by=self._name, note=answer.note)

    @property
    def _name(self) -> str:
        """The client's, since it does not tell its user's."""
        client = self.context.session.client_params
        return client.client_info.name if client is not None and client.client_info.name else "MCP client"


def _waits(task: Task) -> bool:
    return task.status == "pending" and task.awaits_approval and not task.blocked


async def _could_claim(m: Mycelium, task: Task, agent: object) -> bool:
    """Whether the yes is all that keeps the agent from the task: else the call is refused, and nobody is disturbed."""
    if not is_id(agent):
        return False
    return (await m.backend.commit(lambda view: rules.lacks_only_a_yes(view, task.id, agent=agent))).result


def _question(task: Task) -> str:
    """What was asked: an answer to another question is no answer."""
    return f"{task.id} {task.approval}"


def _message(task: Task) -> str:
    what = f"{task.type}: {task.title}" if task.title else task.type
    return f"{task.approval}\n\nTask {task.id} ({what}) waits for your yes or no."


def _request(task: Task) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=_message(task), requested_schema=FORM))


def _answer(said: object) -> Answer | None:
    if not isinstance(said, ElicitResult) or said.action != "accept":
        return None
    try:
        return Answer.model_validate(said.content)
    except ValidationError as error:
        log.info("the client sent an answer that cannot be read: %s", error)
        return None
