"""The boundary to pika, which has callbacks and no types: a connection and its channels, as things to await.

Nothing beyond this file sees pika's classes or errors. A connection or channel that goes away ends all that wait for
it with `Cut`.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import anyio

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import host_of, port_of, trust_of
from mycelium_messaging.delivery import Delivery

Pika: TypeAlias = Any
"""Something of pika's, whose own signatures tell types in part only."""
CLOSING: Final = 2.0
"""Seconds that the broker gets to say goodbye; a connection that hangs is then dropped."""


class Cut(Exception):
    """The connection or channel is gone. `code` is the broker's, or 0 if it said nothing; `text` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}" if code else text)
        self.code = code
        self.text = text.rstrip(".")


class Waits:
    """The answers that are waited for, which all end when what they come by is cut."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._open: set[asyncio.Future[Any]] = set()
        self.cut: Cut | None = None

    async def answer(self, ask: Callable[[Callable[..., None]], object]) -> Any:
        """What `ask` gets handed to its callback.

        Raises:
            Cut: the answer will not come, or not in time.
        """
        from pika.exceptions import AMQPError

        if self.cut is not None:
            raise self.cut
        answer = asyncio.get_running_loop().create_future()
        self._open.add(answer)
        try:
            ask(lambda *said: None if answer.done() else answer.set_result(said))
            with anyio.fail_after(self._patience):
                return await answer
        except AMQPError as error:  # it was closed before anything could be asked
            raise cut_by(error) from error
        except TimeoutError:
            raise Cut(0, f"no answer within {self._patience:g} s") from None
        finally:
            self._open.discard(answer)

    def end(self, cut: Cut) -> None:
        self.cut = cut
        for answer in self._open:
            if not answer.done():
                answer.set_exception(Cut(cut.code, cut.text))


class Channel:
    """One channel. Its `cut` says why it is gone, if it is."""

    def __init__(self, channel: Pika, patience: float) -> None:
        self._channel = channel
        self._waits = Waits(patience)
        self._gone = anyio.Event()
        self._when_gone: Callable[[Cut], None] = lambda _cut: None
        self._gets = False
        self._found_nothing: Callable[[], None] = lambda: None
        channel.add_on_close_callback(self._closed)

    @property
    def cut(self) -> Cut | None:
        return self._waits.cut

    @property
    def alive(self) -> bool:
        return bool(self._channel.is_open)

    async def gone(self) -> Cut:
        """Return when it is gone, with the reason."""
        await self._gone.wait()
        return self._waits.cut or Cut(0, "closed")

    def when_gone(self, tell: Callable[[Cut], None]) -> None:
        self._when_gone = tell

    def _closed(self, _channel: Pika, reason: BaseException) -> None:
        cut = cut_by(reason)
        self._waits.end(cut)
        self._gone.set()
        self._when_gone(cut)

    async def declare_exchange(self, name: str, kind: str, *, auto_delete: bool = False) -> None:
        await self._waits.answer(
            lambda done: self._channel.exchange_declare(
                name, exchange_type=kind, durable=True, auto_delete=auto_delete, callback=done
            )
        )

    async def has_exchange(self, name: str) -> None:
        """Raises Cut with 404 if there is none."""
        await self._waits.answer(lambda done: self._channel.exchange_declare(name, passive=True, callback=done))

    async def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        await self._waits.answer(
            lambda done: self._channel.queue_declare(name, durable=True, arguments=dict(arguments), callback=done)
        )

    async def count(self, queue: str) -> tuple[int, int]:
        """How many messages wait in it, and how many consumers it has. Raises Cut with 404 if there is none."""
        (frame,) = await self._waits.answer(
            lambda done: self._channel.queue_declare(queue, passive=True, callback=done)
        )
        return frame.method.message_count, frame.method.consumer_count

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        await self._waits.answer(
            lambda done: self._channel.queue_bind(queue, exchange, routing_key=routing_key, callback=done)
        )

    async def delete_queue(self, name: str) -> None:
        """Delete it with all that is in it, if it is there."""
        await self._waits.answer(lambda done: self._channel.queue_delete(name, callback=done))

    async def delete_exchange(self, name: str) -> None:
        """Delete it, if it is there."""
        await self._waits.answer(lambda done: self._channel.exchange_delete(name, callback=done))

    async def consume(
        self, queue: str, prefetch: int, take: Callable[[Delivery], None], ended: Callable[[], None]
    ) -> str:
        """Have messages handed to `take`, and `ended` called if the broker ends it: the queue is gone."""
        channel = self._channel

        def deliver(_channel: Pika, method: Pika, properties: Pika, body: bytes) -> None:
            take(self._delivery(queue, method, properties, body, redelivered=method.redelivered))

        await self._waits.answer(lambda done: channel.basic_qos(prefetch_count=prefetch, callback=done))

        def cancelled(_frame: Pika) -> None:
            ended()

        channel.add_on_cancel_callback(cancelled)
        (frame,) = await self._waits.answer(lambda done: channel.basic_consume(queue, deliver, callback=done))
        return str(frame.method.consumer_tag)

    async def cancel(self, consumer_tag: str) -> None:
        """Get no more from this consumer; what was delivered is ours still."""
        await self._waits.answer(lambda done: self._channel.basic_cancel(consumer_tag, callback=done))

    async def get(self, queue: str) -> Delivery | None:
        """The first message of the queue, or None."""

        def ask(done: Callable[..., None]) -> None:
            def found(_channel: Pika, method: Pika, properties: Pika, body: bytes) -> None:
                done(method, properties, body)

            self._listen_for_nothing()
            self._found_nothing = lambda: done(None, None, None)
            self._channel.basic_get(queue, found)

        method, properties, body = await self._waits.answer(ask)
        if method is None:
            return None
        return self._delivery(queue, method, properties, body, redelivered=method.redelivered)

    def _listen_for_nothing(self) -> None:
        """Only once: pika keeps every callback it is given until one such answer comes."""
        from pika.spec import Basic

        if not self._gets:
            self._gets = True
            self._channel.add_callback(self._nothing_found, [Basic.GetEmpty], one_shot=False)

    def _nothing_found(self, _frame: Pika) -> None:
        self._found_nothing()

    def _delivery(self, queue: str, method: Pika, properties: Pika, body: bytes, *, redelivered: bool) -> Delivery:
        return Delivery(
            body,
            queue,
            method.exchange,
            method.routing_key,
            redelivered,
            properties.message_id,
            properties.type,
            properties.headers or {},
            properties.content_type,
            properties.correlation_id,
            properties.reply_to,
            properties.expiration,
            properties.timestamp,
            method.delivery_tag,
            self,
        )

    def ack(self, tag: int) -> None:
        if self._channel.is_open:
            self._channel.basic_ack(tag)

    def nack(self, tag: int, *, requeue: bool) -> None:
        if self._channel.is_open:
            self._channel.basic_nack(tag, requeue=requeue)

    async def confirm(
        self, settled: Callable[[int, bool, bool], None], returned: Callable[[str, str, str | None], None]
    ) -> None:
        """Have each publish told of to `settled` (tag, whether all up to it, whether it was taken).

        What no queue takes goes to `returned` first (exchange, routing key, message id).
        """
        from pika.spec import Basic

        def told(frame: Pika) -> None:
            settled(frame.method.delivery_tag, frame.method.multiple, isinstance(frame.method, Basic.Ack))

        def gave_back(_channel: Pika, method: Pika, properties: Pika, _body: bytes) -> None:
            returned(method.exchange, method.routing_key, properties.message_id)

        self._channel.add_on_return_callback(gave_back)
        await self._waits.answer(lambda done: self._channel.confirm_delivery(told, callback=done))

    def publish(self, exchange: str, routing_key: str, body: bytes, properties: Pika) -> None:
        """Send it. Raises ValueError for what AMQP cannot write, and then nothing was sent."""
        from pika.exceptions import AMQPError, ChannelWrongStateError

        try:
            self._channel.basic_publish(exchange, routing_key, body, properties, mandatory=True)
        except ChannelWrongStateError as error:
            raise cut_by(error) from error
        except (AMQPError, UnicodeEncodeError, OverflowError, struct.error) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def close_soon(self) -> None:
        if self._channel.is_open:
            self._channel.close()

    async def close(self) -> None:
        """Close it, after all that was sent by it has arrived. What was delivered and not settled goes back."""
        if not self._channel.is_open:
            return
        self._channel.close()
        with anyio.move_on_after(CLOSING):
            await self._gone.wait()


class Wire:
    """One connection, open from the start."""

    def __init__(self, connection: Pika, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._waits = Waits(patience)
        self._gone = anyio.Event()
        self._why: Cut | None = None
        self._blocked: asyncio.TimerHandle | None = None
        self._when_stalled: list[Callable[[], None]] = []
        self.stalled = ""
        """Why the broker has not taken what is published for longer than our patience; empty while it does."""
        connection.add_on_close_callback(self._closed)
        connection.add_on_connection_blocked_callback(self._block)
        connection.add_on_connection_unblocked_callback(self._unblock)

    @property
    def usable(self) -> bool:
        return bool(self._connection.is_open)

    def _closed(self, _connection: Pika, reason: BaseException) -> None:
        self._waits.end(self._why or cut_by(reason))
        if self._blocked is not None:
            self._blocked.cancel()
        self._gone.set()

    def when_stalled(self, tell: Callable[[], None]) -> None:
        """Have this called whenever `stalled` changes."""
        self._when_stalled.append(tell)

    def _block(self, _connection: Pika, frame: Pika) -> None:
        """The broker reads no more of this connection; it says so to whoever publishes."""
        if self._blocked is None:
            self._blocked = asyncio.get_running_loop().call_later(
                self._patience, self._stall, str(frame.method.reason) or "it does not say why"
            )

    def _unblock(self, _connection: Pika, _frame: Pika) -> None:
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None
        if self.stalled:
            self._stall("")

    def _stall(self, why: str) -> None:
        self.stalled = why
        for tell in self._when_stalled:
            tell()

    async def gone(self) -> Cut:
        """Return when it is gone, with the reason."""
        await self._gone.wait()
        return self._waits.cut or Cut(0, "closed")

    async def open_channel(self) -> Channel:
        (channel,) = await self._waits.answer(lambda done: self._connection.channel(on_open_callback=done))
        return Channel(channel, self._patience)

    def close_soon(self, why: Cut | None = None) -> None:
        """Close it; `why` is told to whoever asks what has ended it."""
        if self._connection.is_open:
            self._why = why
            self._connection.close()

    async def close(self) -> None:
        """Close it, after all that was sent by it has arrived."""
        self.close_soon()
        with anyio.move_on_after(CLOSING):
            await self._gone.wait()
            return
        self._connection._adapter_disconnect_stream()  # noqa: SLF001  pika would wait for a goodbye for ever
        await self._gone.wait()


@asynccontextmanager
async def connected(settings: RabbitMQ, name: str) -> AsyncGenerator[Wire]:
    """A connection that is closed at the end.

    Raises:
        Cut: it could not be made.
        InvalidConfig
    """
    wire = await _connect(settings, name)
    try:
        yield wire
    finally:
        with anyio.CancelScope(shield=True):
            await wire.close()


async def _connect(settings: RabbitMQ, name: str) -> Wire:
    from pika.adapters.asyncio_connection import AsyncioConnection

    greeting: list[Pika] = []

    class Gathering(AsyncioConnection):
        """Is remembered before it is open, which is when pika shows it. Sends what one turn of the loop says as one."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._said: list[bytes] = []  # pika would make a call of the system for each part of each message
            super().__init__(*args, **kwargs)
            greeting.append(self)

        def _adapter_emit_data(self, data: bytes) -> None:
            if not self._said:
                asyncio.get_running_loop().call_soon(self._emit_all)
            self._said.append(data)

        def _emit_all(self) -> None:
            data = b"".join(self._said)
            self._said.clear()
            if not self.is_closed:
                sender: Pika = super()
                sender._adapter_emit_data(data)  # noqa: SLF001  pika's own adapters are made by overriding this

    made: asyncio.Future[Pika] = asyncio.get_running_loop().create_future()
    parameters = await anyio.to_thread.run_sync(_parameters, settings, name)
    attempt: Pika = Gathering.create_connection([parameters], made.set_result)
    try:
        found = await asyncio.shield(made)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await _give_up(attempt, greeting, made)
        raise
    if not isinstance(found, AsyncioConnection):  # but one of pika's errors, or even only its class
        raise cut_by(found if isinstance(found, BaseException) else ConnectionAbortedError())
    return Wire(found, settings.connection_timeout_seconds)


async def _give_up(attempt: Pika, greeting: list[Pika], made: asyncio.Future[Pika]) -> None:
    """End what was begun, so that no socket stays behind."""
    begun = [each for each in greeting if not each.is_closed]
    for each in begun:  # aborting the attempt itself fails an assertion of pika's once the two ends greet each other
        if not each.is_closing:
            each.close()
    if not begun and not made.done():
        attempt.abort()
    with anyio.move_on_after(CLOSING):
        await made


def _parameters(settings: RabbitMQ, name: str) -> Pika:
    import pika

    patience = settings.connection_timeout_seconds
    context = trust_of(settings)
    host = host_of(settings)
    return pika.ConnectionParameters(
        host=host,
        port=port_of(settings),
        virtual_host=settings.vhost,
        credentials=pika.PlainCredentials(settings.username, settings.password.get_secret_value()),
        ssl_options=pika.SSLOptions(context, host) if context else None,
        heartbeat=settings.heartbeat_seconds,
        socket_timeout=patience,
        stack_timeout=patience,
        connection_attempts=1,
        client_properties={"connection_name": name, "product": "Mycelium"},
    )


def properties_of(message_id: str, **more: Any) -> Pika:
    """AMQP's properties of a message that outlives the broker."""
    from pika import BasicProperties

    return BasicProperties(message_id=message_id, delivery_mode=2, **more)


def cut_by(reason: BaseException) -> Cut:
    """Why it is gone, from what pika says, which wraps errors in errors, and repeats them in texts."""
    code = getattr(reason, "reply_code", 0)
    if code:
        return Cut(code, str(getattr(reason, "reply_text", "")))
    said = repr(reason)
    for number, word in ((403, "ACCESS_REFUSED"), (530, "NOT_ALLOWED")):
        if word in said:
            return Cut(number, said[said.index(word) :].split('"')[0].rstrip("')"))
    return Cut(0, _innermost(reason))


def _innermost(reason: BaseException) -> str:
    inner: Any = reason
    while (next_one := _inside(inner)) is not None:
        inner = next_one
    said = str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
    return "it does not answer in time" if "Timeout" in said else said  # which pika follows with its addresses


def _inside(reason: Any) -> BaseException | None:
    """The error that this one of pika's was made of."""
    several = getattr(reason, "exceptions", None) or ()
    inner = several[-1] if several else getattr(reason, "exception", None)
    if inner is None and reason.args and isinstance(reason.args[-1], BaseException):
        inner = reason.args[-1]
    return inner if isinstance(inner, BaseException) and inner is not reason else None


def hush_pika() -> None:
    """Keep pika from logging each loss with tracebacks: we tell of it once, in a sentence."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
