"""One connection's view of the store: who is at the other end, and the client that works for them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

import anyio
from mcp.server import ServerRequestContext

from mycelium import Mycelium, MyceliumError, rules
from mycelium.models import Agent

log = logging.getLogger("mycelium.server")

Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[Mycelium]]
"""Opens the store for one connection, under the same agent's name each time."""

HEAD_START: Final = 0.25
"""Seconds in which a client may list the tools before the store is opened; a call ends them at once."""
SEE_EVERY: Final = 2.0
"""Seconds between two looks at whether the agent counts as alive; the library writes it down about once a minute."""
SEE_AGAIN: Final = 30.0
"""Seconds until the next look after one that failed."""
SEE_WITHIN: Final = 0.5
"""Seconds that the first call waits for the agent to be known."""
LEAVE_WITHIN: Final = 2.0
"""Seconds for saying goodbye to the store."""


class Opening:
    """One attempt to open the store, which any number of calls may wait for."""

    def __init__(self) -> None:
        self._over = anyio.Event()
        self._client: Mycelium | None = None
        self._failure: Exception | None = None

    def succeed(self, client: Mycelium) -> None:
        self._client = client
        self._over.set()

    def fail(self, failure: Exception) -> None:
        self._failure = failure
        self._over.set()

    async def outcome(self) -> Mycelium:
        await self._over.wait()
        if self._failure is not None:
            raise self._failure
        assert self._client is not None
        return self._client


class Session:
    """Keeps the store open for one connection. What cannot be opened is tried again at the next call."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._asked = anyio.Event()
        self._opening = Opening()
        self._calling = anyio.Event()
        self._seen = anyio.Event()
        self.said_offline = False
        """Whether the agent's last word was that it is offline, which then stays so."""
        self.unanswered: set[str] = set()
        """Questions to the person at the other end that they did not answer, and are not to be bothered with again."""

    async def client(self) -> Mycelium:
        """The open store; waits until it is.

        Raises:
            MyceliumError: it cannot be opened.
        """
        self._asked.set()
        return await self._opening.outcome()

    async def see(self) -> None:
        """Have this connection's agent count as alive from now on; only the first time, wait for it a moment."""
        if not self._calling.is_set():
            self._calling.set()
            with anyio.move_on_after(SEE_WITHIN):
                await self._seen.wait()

    async def keep(self) -> None:
        """Open the store and keep it open until cancelled. The one task in which it is entered and left."""
        with anyio.move_on_after(HEAD_START):
            await self._asked.wait()
        while True:
            opening = self._opening
            failure = await self._keep_open(opening)
            self._asked, self._opening = anyio.Event(), Opening()
            opening.fail(failure)
            await self._asked.wait()

    async def _keep_open(self, opening: Opening) -> Exception:
        try:
            async with self._opener() as client:
                opening.succeed(client)
                try:
                    await self._stay_seen(client)
                finally:
                    await self._leave(client)
            return RuntimeError("the store was closed")
        except MyceliumError as error:
            log.error("the store is not open: %s", error)  # noqa: TRY400  the error says it all
            return error
        except Exception as error:  # the boundary to any backend: serving must go on
            log.exception("the store failed")
            return error

    async def _stay_seen(self, client: Mycelium) -> None:
        await self._calling.wait()
        while True:
            noted = self.said_offline or await _see(client)
            self._seen.set()
            await anyio.sleep(SEE_EVERY if noted else SEE_AGAIN)

    async def _leave(self, client: Mycelium) -> None:
        with anyio.move_on_after(LEAVE_WITHIN, shield=True):
            try:
                if self._calling.is_set():
                    await client.leave()
            except MyceliumError as error:
                log.info("leaving was not noted: %s", error)


async def _see(client: Mycelium) -> bool:
    """Note that the agent is alive, and say whether that went well."""
    try:
        await client.see()
        (agent,) = await client.backend.get(Agent, [client.agent])
        if agent is not None and agent.status == "offline":  # another connection of the same name has left
            await client.backend.commit(lambda view: rules.see_agent(view, client.agent))
    except MyceliumError as error:
        log.info("%s was not noted as seen: %s", client.agent, error)
    except Exception:  # presence is a courtesy: whatever is wrong with it must not end the connection
        log.exception("%s was not noted as seen", client.agent)
    else:
        return True
    return False


@asynccontextmanager
async def session(opener: Opener) -> AsyncGenerator[Session]:
    """A session for the time of this context; then its leases are released and its agent is offline."""
    async with anyio.create_task_group() as tasks:
        each = Session(opener)
        tasks.start_soon(each.keep)
        try:
            yield each
        finally:
            tasks.cancel_scope.cancel()


def session_of(context: ServerRequestContext[Session, Any]) -> Session:
    """The session that a request belongs to: over stdio, the server's one and only."""
    return context.lifespan_context
