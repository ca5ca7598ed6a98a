"""The boundary to pika, which has callbacks and no types: a connection and its channels, as things to await.

Nothing beyond this package sees pika's classes or errors. A connection or channel that goes away ends all that wait for
it with `Cut`.
"""

from __future__ import annotations

from mycelium_messaging.wire.channel import Channel, properties_of
from mycelium_messaging.wire.cut import Cut
from mycelium_messaging.wire.opening import connected, hush_pika
from mycelium_messaging.wire.wire import Wire

__all__ = ["Channel", "Cut", "Wire", "connected", "hush_pika", "properties_of"]
