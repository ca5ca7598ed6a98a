"""A channel: what is declared, published, consumed and settled by it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from mycelium_messaging.acks import Acks
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.wire.cut import CLOSING, Cut, cut_by
from mycelium_messaging.wire.waits import Pika, Waits


class Channel:
    """One channel. Its `cut` says why it is gone, if it is."""

    def __init__(self, channel: Pika, patience: float) -> None:
        self._channel = channel
        self._waits = Waits(patience)
        self._acks = Acks()
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
        self._acks.came(method.delivery_tag)
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
        """Ack it, together with all others of this turn of the loop."""
        if not self._acks:
            asyncio.get_running_loop().call_soon(self._ack_all)
        self._acks.gather(tag)

    def _ack_all(self) -> None:
        for tag, up_to_it in self._acks.told():
            if self._channel.is_open:
                self._channel.basic_ack(tag, multiple=up_to_it)

    def nack(self, tag: int, *, requeue: bool) -> None:
        self._acks.refused(tag)
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
        self._ack_all()
        if self._channel.is_open:
            self._channel.close()

    async def close(self) -> None:
        """Close it, after all that was sent by it has arrived. What was delivered and not settled goes back."""
        if not self._channel.is_open:
            return
        self.close_soon()
        with anyio.move_on_after(CLOSING):
            await self._gone.wait()


def properties_of(message_id: str, **more: Any) -> Pika:
    """AMQP's properties of a message that outlives the broker."""
    from pika import BasicProperties

    return BasicProperties(message_id=message_id, delivery_mode=2, **more)
