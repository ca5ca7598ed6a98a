"""The same reads and writes by hand with redis-py: hashes, lists, a stream and a channel."""

from __future__ import annotations

import json
import time
from typing import Any

from redis.asyncio import Redis

from mycelium_server.bench.team import CHANNEL, KIND, Roster, metadata, payload, result


class RawRedis:
    """One client with its connection pool, a journey for each read and one for each change."""

    says: str = "redis-py, one MULTI for each change"

    def __init__(self, url: str, prefix: str, agents: int) -> None:
        # Any: redis-py's own types are incomplete.
        self._redis: Any = Redis.from_url(url, decode_responses=True, socket_timeout=None)  # pyright: ignore[reportUnknownMemberType] - as above
        self._prefix = prefix
        self._roster = Roster(agents)

    async def store_status(self, number: int) -> object:
        name, key = self._roster.name(number), self._key(f"agents:status:{self._roster.name(number)}")
        said = {
            "status": self._roster.status(number),
            "last_updated": time.time(),
            "active_tasks": json.dumps(["train-model"]),
            "metadata": json.dumps(metadata(number)),
        }
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=said)
            pipe.expire(key, 300)
            self._tell(pipe, "agents:events", "agent.status", {"agent": name, "status": said["status"]})
            return await pipe.execute()

    async def get_status(self, number: int) -> object:
        name = self._roster.name(number)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._key(f"agents:status:{name}"))
            pipe.lrange(self._key(f"tasks:held:{name}"), 0, 99)
            found, held = await pipe.execute()
        return json.loads(found["metadata"]), held

    async def create(self, number: int) -> object:
        task = {"type": KIND, "title": f"task {number}", "payload": payload(number), "created_at": time.time()}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key(f"task:{number}"), mapping={"status": "pending", "body": json.dumps(task)})
            pipe.lpush(self._key("tasks:queue:normal"), number)
            self._tell(pipe, "tasks:events", "task.created", {"task_id": number, "task_type": KIND})
            return await pipe.execute()

    async def claim(self, number: int) -> object:
        name = self._roster.name(number)
        id = await self._redis.lmove(self._key("tasks:queue:normal"), self._key("tasks:claimed"), "RIGHT", "LEFT")
        async with self._redis.pipeline(transaction=True) as pipe:
            lease = json.dumps({"agent": name, "expires_at": time.time() + 60})
            pipe.hset(self._key(f"task:{id}"), mapping={"status": "running", "lease": lease})
            self._tell(pipe, "tasks:events", "task.started", {"task_id": id})
            pipe.hgetall(self._key(f"task:{id}"))
            claimed = await pipe.execute()
        self._roster.held.append(id)
        return claimed

    async def update(self, number: int) -> object:
        return await self._change(self._roster.one_held(number), {"progress": 0.5}, "task.progress")

    async def complete(self, number: int) -> object:
        id, said = self._roster.held.pop(), json.dumps(result(number))
        return await self._change(id, {"status": "completed", "result": said}, "task.completed")

    async def publish(self, number: int) -> object:
        async with self._redis.pipeline(transaction=True) as pipe:
            self._tell(pipe, CHANNEL, "saved", {"step": number, "loss": 0.42})
            return await pipe.execute()

    async def aclose(self) -> None:
        """Close the connections; the keys are removed by whoever made the namespace."""
        await self._redis.aclose()

    async def _change(self, id: str, fields: dict[str, object], event: str) -> object:
        key = self._key(f"task:{id}")
        await self._redis.hgetall(key)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=fields)
            self._tell(pipe, "tasks:events", event, {"task_id": id})
            return await pipe.execute()

    def _tell(self, pipe: Any, channel: str, type: str, data: dict[str, object]) -> None:
        said = json.dumps({"type": type, "time": time.time(), "data": data})
        pipe.xadd(self._key("events"), {"channel": channel, "event": said})
        pipe.publish(self._key(channel), said)

    def _key(self, name: str) -> str:
        return f"{self._prefix}raw:{name}"
