"""A model's endpoint on this machine that says what a script says, over the real wire formats, streaming included.

It speaks the Messages API (`POST /v1/messages`) and Chat Completions (`POST /v1/chat/completions`), keeps every
request, and refuses those that the real ones would. For tests that run real processes it is a program, too:

    python -m tests.support.model_endpoint --script tool_use --tool read_file --arguments '{"path": "a.py"}'

prints its URL once it listens, and goes on until it is stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.stapled import MultiListener

from tests.support.model_formats import chat_chunks, message_events
from tests.support.model_requests import wrong_chat, wrong_message
from tests.support.model_script import Answer, Api, Asked, Say, Script, Status, Step, Think, Use

LARGEST = 64 * 1024 * 1024
"""Bytes that a request may have."""


class Endpoint:
    """What it was asked so far, and where it is."""

    def __init__(self, script: Script, listener: MultiListener[SocketStream]) -> None:
        self._listener = listener
        self._listening = anyio.CancelScope()
        self._gone = anyio.Event()
        self.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        """What was wrong with requests that no script was asked about."""
        self._script = script
        self._tries: dict[tuple[str, int], int] = {}
        self._news = anyio.Event()

    @property
    def chat_url(self) -> str:
        """The base that OpenAI's client wants."""
        return f"{self.url}/v1"

    async def close(self) -> None:
        """Be gone: who calls now finds nobody."""
        self._listening.cancel()
        await self._gone.wait()

    async def until_asked(self, times: int) -> None:
        """Return once so many requests have come."""
        while len(self.asked) < times:
            await self._news.wait()

    def step(self, asked: Asked) -> Step:
        """What to answer."""
        self.asked.append(asked)
        self._news.set()
        self._news = anyio.Event()
        wrong = wrong_message(asked.body, asked.headers) if asked.api == "messages" else wrong_chat(asked.body)
        if wrong is not None:
            self.refused.append(wrong)
            return Status(400, "invalid_request_error", wrong)
        return self._scripted(asked)

    def _scripted(self, asked: Asked) -> Step:
        if callable(self._script):
            return self._script(asked)
        if asked.turn >= len(self._script):
            return Status(400, "invalid_request_error", "the script is over")
        step = self._script[asked.turn]
        if isinstance(step, Answer | Status):
            return step
        key = (json.dumps(asked.messages[0]), asked.turn)
        tried = self._tries[key] = self._tries.get(key, -1) + 1
        return step[min(tried, len(step) - 1)]

    async def listen(self) -> None:
        """Take connections until closed."""
        with self._listening:
            await self._listener.serve(self.serve)
        await self._listener.aclose()
        self._gone.set()

    async def serve(self, connection: ByteStream) -> None:
        """One connection, which is for one request."""
        async with connection:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):  # the client may leave
                await _answer(connection, self)


@asynccontextmanager
async def model_endpoint(script: Script) -> AsyncGenerator[Endpoint]:
    """An endpoint on a free port for the time of this context."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        endpoint = Endpoint(script, listener)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(endpoint.listen)
            yield endpoint
            tasks.cancel_scope.cancel()


async def _answer(connection: ByteStream, endpoint: Endpoint) -> None:
    received = BufferedByteReceiveStream(connection)
    head = (await received.receive_until(b"\r\n\r\n", 64 * 1024)).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await received.receive_exactly(min(LARGEST, int(headers.get("content-length", "0"))))
    path = first.split(" ")[1].partition("?")[0]
    api: Api = "chat" if path.endswith("/chat/completions") else "messages"
    if path not in {"/v1/messages", "/v1/chat/completions"}:
        await _refuse(connection, "messages", Status(404, "not_found_error", f"no such path: {path}"))
        return
    step = endpoint.step(Asked(api, headers, json.loads(body)))
    if isinstance(step, Status):
        await _refuse(connection, api, step)
    else:
        await _stream(connection, api, step, str(json.loads(body)["model"]))


async def _refuse(connection: ByteStream, api: Api, step: Status) -> None:
    error = {"type": step.type, "message": step.message}
    said = {"error": {**error, "code": step.type}} if api == "chat" else {"type": "error", "error": error}
    body = json.dumps(said).encode() if step.page is None else step.page.encode()
    kind = "application/json" if step.page is None else "text/html"
    lines = [f"HTTP/1.1 {step.status} Scripted", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += ["connection: close", *(f"{name}: {value}" for name, value in step.headers.items())]
    await connection.send("\r\n".join([*lines, "", ""]).encode() + body)


async def _stream(connection: ByteStream, api: Api, answer: Answer, model: str) -> None:
    events = message_events(answer, model) if api == "messages" else chat_chunks(answer, model)
    await connection.send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    whole = len(events) if answer.breaks is None else len(events) - 2 if answer.whole is None else answer.whole
    for event in events[:whole]:
        await _send(connection, event)
        if answer.hold is not None and _has_text(event):
            await answer.hold.wait()
    match answer.breaks:
        case "cut":
            return
        case "stall":
            await connection.receive()  # nothing comes until the client leaves
        case "garbage":
            await _send(connection, 'event: content_block_delta\ndata: {"type": "content_bl\x00 not json\n\n')
        case "error":
            await _send(connection, _told(api))
        case "short" | None:
            pass
    await connection.send(b"0\r\n\r\n")


def _has_text(event: str) -> bool:
    """Whether a piece of text is in it, in either format."""
    return '"text_delta"' in event or ('"content": "' in event and '"content": ""' not in event)


def _told(api: Api) -> str:
    """An error within a stream."""
    if api == "chat":
        return 'data: {"error": {"type": "server_error", "message": "Overloaded"}}\n\n'
    return 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'


async def _send(connection: ByteStream, event: str) -> None:
    data = event.encode()
    await connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def endless(use: Use) -> Script:
    """The same call for ever, as long as tools are offered."""
    return lambda asked: Answer([use]) if asked.tools else Answer([Say("I went round in circles.")])


def scripts(use: Use) -> dict[str, Script]:
    """Scripts by name, for whoever runs this as a program. Each works for any number of conversations."""
    done = Answer([Say("Done, as you asked.")])
    return {
        "answer": [done],
        "tool_use": [Answer([Say("Let me look. "), use]), done],
        "parallel_tools": [Answer([use, use, use]), done],
        "thinking": [Answer([Think("Hm, what first?"), use]), done],
        "overload": [[Status(529, "overloaded_error", "Overloaded"), done]],
        "rate_limit": [[Status(429, "rate_limit_error", "Slow down", {"retry-after": "1"}), done]],
        "refusal": [Answer([], stop="refusal")],
        "cut_stream": [[Answer([Say("Let me look."), use], breaks="cut"), Answer([use])], done],
        "short_stream": [[Answer([Say("Let me look.")], breaks="short"), done]],
        "stalled_stream": [[Answer([Say("Let me")], breaks="stall"), done]],
        "garbage": [[Answer([Say("Let me")], breaks="garbage"), done]],
        "endless_tools": endless(use),
        "max_tokens": [Answer([Say("The first half, ")], stop="max_tokens"), Answer([Say("the second half.")])],
        "pause_turn": [Answer([Say("Wait. ")], stop="pause_turn"), done],
        "unauthorized": [Status(401, "authentication_error", "invalid x-api-key")],
    }


async def _run(script: Script) -> None:
    async with model_endpoint(script) as endpoint:
        print(endpoint.url, flush=True)  # noqa: T201 - a program's answer
        await anyio.sleep_forever()


def main() -> None:
    """Serve a script until stopped."""
    names = sorted(scripts(Use("x")))
    parser = argparse.ArgumentParser(prog="model_endpoint")
    parser.add_argument("--script", choices=names, required=True)
    parser.add_argument("--tool", default="list_agents", help="the tool that the script calls")
    parser.add_argument("--arguments", default="{}", help="its arguments, as JSON")
    said = parser.parse_args()
    anyio.run(_run, scripts(Use(said.tool, json.loads(said.arguments)))[said.script])


if __name__ == "__main__":
    main()
