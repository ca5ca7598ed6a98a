"""What takes long to import and open, and is opened when somebody first needs it: tools and models."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import anyio

from mycelium_worker.toolbox import Reply, Tool, Toolbox

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mycelium_worker.model import Message, Model, Turn

T = TypeVar("T")

Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[T]]

log = logging.getLogger("mycelium.worker")


class Lazy(Generic[T]):
    """Something that is opened for the first who asks, and open from then on."""

    def __init__(self, opener: Opener[T]) -> None:
        self._opener = opener
        self._asked = anyio.Event()
        self._over = anyio.Event()
        self._opened: list[T] = []
        self._failure: Exception | None = None

    async def get(self) -> T:
        """The thing itself. Raises what opening it raised, which is then tried again by the next who asks."""
        self._asked.set()
        over = self._over
        await over.wait()
        if self._opened:
            return self._opened[0]
        assert self._failure is not None
        raise self._failure

    async def keep(self) -> None:
        """Open it when it is asked for, and keep it open until cancelled: the one task that enters and leaves it."""
        while True:
            await self._asked.wait()
            try:
                async with self._opener() as opened:
                    self._opened.append(opened)
                    self._over.set()
                    try:
                        await anyio.sleep_forever()
                    finally:
                        self._opened.clear()
            except Exception as error:  # a boundary: whoever asked is told, and the worker goes on
                log.exception("what tasks need could not be opened")
                self._failure = error
            over, self._over, self._asked = self._over, anyio.Event(), anyio.Event()
            over.set()


class LazyToolbox:
    """A toolbox that is opened with the first look into it."""

    def __init__(self, toolbox: Lazy[Toolbox]) -> None:
        self._toolbox = toolbox

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        """See `Toolbox.tools`."""
        return await (await self._toolbox.get()).tools(soon=soon)

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        """See `Toolbox.call`."""
        try:
            toolbox = await self._toolbox.get()
        except Exception as error:  # noqa: BLE001  a toolbox says what is wrong in its replies
            return Reply(f"The tools could not be opened: {error}", is_error=True, again=True)
        return await toolbox.call(name, arguments, seconds=seconds)


class LazyModel:
    """A model whose library is imported with the first question."""

    def __init__(self, name: str, model: Lazy[Model]) -> None:
        self.name = name
        self._model = model

    async def answer(self, system: str, messages: Sequence[Message], tools: Sequence[Tool], **more: Any) -> Turn:
        """See `Model.answer`."""
        return await (await self._model.get()).answer(system, messages, tools, **more)


@asynccontextmanager
async def lazily(opener: Opener[T]) -> AsyncGenerator[Lazy[T]]:
    """Something to be opened when it is first needed, and closed at the end of this context."""
    lazy = Lazy(opener)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lazy.keep)
        yield lazy
        tasks.cancel_scope.cancel()
