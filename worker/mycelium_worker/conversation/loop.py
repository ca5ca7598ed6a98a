"""Tasks done by a model: it is asked, its tools are called, and it is asked again, until it has an answer.

    asked -> end                                        its text is the result; without any, and without a use of
                                                        tools, the attempt fails
          -> tool_use          -> all calls at once     -> asked again with what they found
          -> pause             -> asked again
          -> max_tokens        -> told to go on         -> asked again, three times at most
          -> refusal                                    the task fails, for good
          -> context_full                               the result is what there is

Where turns, tokens or time run out, or the same calls are made again and again, the model is asked once more for what
it has, without tools, if that is still allowed; the result then says under `stopped` why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import anyio
from pydantic import JsonValue

from mycelium.errors import StoreError
from mycelium_worker.attempt import Attempt
from mycelium_worker.conversation import prompt
from mycelium_worker.conversation.allowance import Allowance, Limit
from mycelium_worker.conversation.asking import Pace, ask_patiently
from mycelium_worker.conversation.journal import Journal, tokens
from mycelium_worker.conversation.outcome import found, outcome
from mycelium_worker.conversation.repetition import Repetition
from mycelium_worker.executor import TaskFailed
from mycelium_worker.model import Message, Model, Text, ToolResult, ToolUse, Turn
from mycelium_worker.plain import clipped
from mycelium_worker.toolbox import Reply, Tool

Stopped: TypeAlias = Limit | Literal["loop", "too_long", "context_full"]
Ended: TypeAlias = Stopped | Literal["done"]
MOST_CUTS: Final = 3
"""So often in a row an answer may be cut off at its longest."""
log = logging.getLogger("mycelium.worker")


@dataclass(frozen=True, slots=True)
class Brief:
    """What a conversation is about."""

    system: str
    first: str
    """The first message."""
    tools: bool = True
    """Whether the model gets the worker's tools."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a conversation."""

    text: str
    found: Sequence[Mapping[str, JsonValue]]
    ended: Ended
    more: Mapping[str, JsonValue]
    """For the result: `model`, `usage`, and `stopped` where it was stopped before it was done."""


async def converse(attempt: Attempt, *, pace: Pace | None = None) -> Mapping[str, JsonValue]:
    """The executor for whatever no other executor does: a model does the task.

    Raises:
        NotHere: the model answers nobody: its key, its name or its address is wrong.
        TaskFailed: there is no model, it refused, it was busy for too long, it said nothing, or it rejected what it
            was asked.
        BudgetExceeded: the task used up more than its own budget, and has failed with that already.
        StaleLease: the task is somebody else's by now, or was called off.
    """
    if attempt.model is None:
        raise TaskFailed(
            f"No model is configured here, and tasks of type {attempt.task.type} want one. "
            "Set ANTHROPIC_API_KEY, or another provider's key, where the worker runs.",
            code="no_model",
        )
    pace = pace or Pace()
    brief = Brief(prompt.system(attempt.client.agent), prompt.first_message(attempt.task))
    allowance = Allowance.of(attempt.task, attempt.limits, pace.now)
    said = await talk(attempt, attempt.model, brief, allowance, pace)
    if said.ended == "context_full" and not said.text.strip():
        raise TaskFailed("The task is longer than the model can read.", code="model_context_full", retry=False)
    if said.ended == "done" and not said.text.strip() and not said.found:
        raise TaskFailed("The model said nothing and used no tool.", code="model_silent")
    return outcome(said.text, said.found, **said.more)


async def talk(attempt: Attempt, model: Model, brief: Brief, allowance: Allowance, pace: Pace) -> Said:
    """One conversation, told and counted. Raises as `converse`, but not where it was too long to be read."""
    return await _Conversation(attempt, model, brief, allowance, pace).hold()


class _Conversation:
    def __init__(self, attempt: Attempt, model: Model, brief: Brief, allowance: Allowance, pace: Pace) -> None:
        self._attempt = attempt
        self._model = model
        self._pace = pace
        self._brief = brief
        self._allowance = allowance
        self._journal = Journal(attempt)
        self._messages: list[Message] = []
        self._tools: Sequence[Tool] = ()
        self._added = 0  # characters that the model has not read yet
        self._closing: Stopped | None = None
        self._repetition = Repetition()
        self._cuts = 0
        self._goes_on = False
        self._has_waited = False
        self._answer = ""
        self._found: list[dict[str, JsonValue]] = []
        self._unspent = (0, 0)  # tokens and turns that the store does not know of yet

    async def hold(self) -> Said:
        """The whole of it."""
        self._tools = await self._tools_now()
        names: list[JsonValue] = [tool.name for tool in self._tools]
        await self._say(self._brief.first, system=self._brief.system, model=self._model.name, tools=names)
        ended: Ended | None = None
        while ended is None:
            ended = await self._step()
        stopped: dict[str, JsonValue] = {} if ended == "done" else {"stopped": ended}
        usage: JsonValue = {**tokens(self._allowance.used), "turns": self._allowance.taken}
        return Said(self._answer, self._found, ended, {"model": self._model.name, "usage": usage, **stopped})

    async def _tools_now(self) -> Sequence[Tool]:
        # Where all servers are down, those tools are named that the conversation knows: it refers to them.
        return (await self._attempt.toolbox.tools(soon=True) or self._tools) if self._brief.tools else ()

    async def _step(self) -> Ended | None:
        """One turn and what follows from it; how the conversation has ended, if it has."""
        if (over := self._allowance.over(self._added)) is not None:
            return self._closing or over
        last = self._closing or self._allowance.closing(self._added)
        if last and self._allowance.taken:
            await self._say(prompt.closing(last))
        try:
            turn = await self._ask(last=last is not None)
        except TaskFailed as failed:
            if last and failed.code == "model_busy" and self._answer:
                return last
            raise
        if turn is None:
            return last or "max_seconds"
        await self._take(turn)
        if last and (turn.stop != "end" or self._allowance.taken > 1):
            return last
        return await self._follow(turn)

    async def _follow(self, turn: Turn) -> Ended | None:
        """What comes after a turn that was not the last."""
        self._cuts = self._cuts + 1 if turn.stop == "max_tokens" else 0
        if self._cuts > MOST_CUTS:
            self._closing = "too_long"
        if turn.uses:
            await self._use_tools(_whole(turn))
            return None
        match turn.stop:
            case "context_full":
                return "context_full"
            case "pause":
                return None
            case "max_tokens":
                if self._closing is None:
                    await self._say(prompt.GO_ON)
                return None
            case _:
                return "done"

    async def _ask(self, *, last: bool) -> Turn | None:
        tools = self._tools = await self._tools_now()
        number = self._allowance.taken + 1

        async def ask() -> Turn:
            return await self._journal.listen(
                number,
                lambda hear: self._model.answer(
                    self._brief.system,
                    self._messages,
                    tools,
                    hear=hear,
                    last=last,
                    most_tokens=self._allowance.most_tokens(self._added, last=last),
                ),
            )

        return await ask_patiently(
            ask, seconds_left=lambda: self._allowance.seconds_left, told=self._wait, pace=self._pace
        )

    async def _wait(self, reason: str, seconds: float, tries: int) -> None:
        log.log(
            logging.INFO if self._has_waited else logging.WARNING,
            "%s waits %.0f s for the model: %s", self._attempt.task.id, seconds, reason,
        )  # fmt: skip
        self._has_waited = True
        await self._journal.busy(reason, seconds, tries)
        await self._spend(0, 0, note=clipped(f"waiting {seconds:.0f} s for the model: {reason}", 200))

    async def _take(self, turn: Turn) -> None:
        """Write the turn down, and count it."""
        self._allowance.count(turn.usage)
        await self._journal.turn(self._allowance.taken, turn)
        await self._spend(turn.usage.total, 1, note=_note(self._allowance.taken, turn))
        if turn.stop == "refusal":
            why = f": {clipped(turn.why, 500)}" if turn.why else ""
            raise TaskFailed(f"The model refuses to do this{why}.", code="model_refused", retry=False)
        if turn.blocks:
            self._messages.append(Message("assistant", turn.blocks))
        self._added = 0
        if turn.text.strip():
            self._answer = self._answer + turn.text if self._goes_on else turn.text
        unfinished = turn.stop in {"max_tokens", "pause"} and not turn.uses
        self._goes_on = unfinished and (self._goes_on or bool(turn.text.strip()))

    async def _spend(self, tokens: int, turns: int, *, note: str) -> None:
        """Count it in the store; what that cannot take now is counted the next time."""
        self._unspent = (self._unspent[0] + tokens, self._unspent[1] + turns)
        try:
            await self._attempt.spend(tokens=self._unspent[0], turns=self._unspent[1], note=note)
            self._unspent = (0, 0)
        except StoreError as error:
            log.warning(
                "what a task took could not be counted yet",
                extra={"task_id": self._attempt.task.id, "error": str(error)},
            )

    async def _use_tools(self, uses: Sequence[ToolUse]) -> None:
        """Call them all at once, and answer them all, in their order."""
        replies: dict[int, Reply] = {}
        with anyio.move_on_after(self._allowance.seconds_to_close):
            async with anyio.create_task_group() as tasks:
                for number, use in enumerate(uses):
                    tasks.start_soon(self._call, number, use, replies)
        stopped = Reply(prompt.TIME_IS_UP, is_error=True)
        calls = [(use, replies.get(number, stopped)) for number, use in enumerate(uses)]
        self._messages.append(
            Message("user", [ToolResult(use.id, said.text, said.is_error, said.pictures) for use, said in calls])
        )
        self._added += sum(len(said.text) for _, said in calls)
        self._found += [found(use.name, said) for use, said in calls]
        match self._repetition.seen(calls):
            case "tell":
                await self._say(prompt.REPEATS.format(times=self._repetition.times))
            case "end":
                self._closing = "loop"
            case None:
                pass

    async def _call(self, number: int, use: ToolUse, replies: dict[int, Reply]) -> None:
        began = self._pace.now()
        if use.unreadable is None:
            reply = await self._attempt.toolbox.call(use.name, use.arguments)
        else:
            reply = Reply(f"The arguments of {use.name} cannot be used: {use.unreadable}.", is_error=True)
        replies[number] = reply
        await self._journal.tool(self._allowance.taken, use, reply, self._pace.now() - began)

    async def _say(self, text: str, **more: JsonValue) -> None:
        """Tell the model something, together with what it is told anyway."""
        if self._messages and self._messages[-1].role == "user":
            before = self._messages.pop()
            self._messages.append(Message("user", [*before.blocks, Text(text)]))
        else:
            self._messages.append(Message("user", [Text(text)]))
        self._added += len(text)
        await self._journal.prompt(text, **more)


def _whole(turn: Turn) -> Sequence[ToolUse]:
    """The calls of a turn. Where it was cut off within the last one, that one cannot be used."""
    uses = list(turn.uses)
    if turn.stop == "max_tokens" and turn.blocks and turn.blocks[-1] is uses[-1]:
        uses[-1] = replace(uses[-1], arguments={}, unreadable=prompt.CUT_CALL)
    return uses


def _note(number: int, turn: Turn) -> str:
    names = ", ".join(dict.fromkeys(use.name for use in turn.uses))
    return clipped(f"turn {number}: {names or turn.stop}", 200)
