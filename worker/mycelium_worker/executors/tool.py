"""The executor of `tool` tasks: one call of one MCP tool, and no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from mycelium.models.base import MAX_SECONDS, invalid
from mycelium_worker import response
from mycelium_worker.attempt import Attempt
from mycelium_worker.executor import TaskFailed
from mycelium_worker.toolbox import Reply


class Payload(BaseModel):
    """What a task says to its executor. It may say more, which is for others."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


P = TypeVar("P", bound=Payload)


class ToolCall(Payload):
    """Which tool to call."""

    tool: Annotated[str, Field(min_length=1)]
    """As it is offered."""
    arguments: dict[str, JsonValue] = {}
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None
    """How long the call may take, where that is not what the worker allows."""


async def do_tool(attempt: Attempt) -> Mapping[str, JsonValue]:
    """Call the tool and give what it answered.

    Raises:
        TaskFailed: the payload does not say which tool, or the tool answered with an error, which is tried again as
            long as the task has attempts left.
    """
    call = read(ToolCall, attempt)
    # Who gave the task several attempts wants them used. The last one is the task's fault and not the agent's.
    again = attempt.task.attempt < attempt.task.max_attempts
    reply = await call_tool(attempt, call.tool, call.arguments, seconds=call.seconds, again=again)
    await account(attempt)
    found = reply.text if reply.structured is None else reply.structured
    return response.result(response.tool_use(call.tool, found))


def read(model: type[P], attempt: Attempt) -> P:
    """What the task's payload says.

    Raises:
        TaskFailed: it says it wrongly, so that no attempt will go better.
    """
    try:
        return model.model_validate(attempt.task.payload)
    except ValidationError as error:
        raise TaskFailed(f"The payload: {invalid(error).message}", code="invalid_payload", retry=False) from None


async def call_tool(
    attempt: Attempt,
    name: str,
    arguments: Mapping[str, JsonValue],
    *,
    seconds: float | None = None,
    again: bool = False,
) -> Reply:
    """What the tool answered.

    Raises:
        TaskFailed: that is an error. It is tried again where the tool's server is to blame, or `again` says so.
    """
    reply = await attempt.toolbox.call(name, arguments, seconds=seconds)
    check(reply, name, again=again)
    return reply


def check(reply: Reply, name: str, *, again: bool = False) -> None:
    """Raises as `call_tool` if this tool's reply is an error."""
    if reply.is_error:
        raise TaskFailed(reply.text or f"{name} failed.", code="tool_failed", retry=reply.again or again, tool=name)


async def account(attempt: Attempt) -> None:
    """Say that no model was asked, where the task's budget wants to know."""
    if attempt.task.budget is not None and attempt.task.spent is None:
        await attempt.spend(tokens=0, turns=0)
