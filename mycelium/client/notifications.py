"""The verb that tells people something."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from mycelium import rules
from mycelium.client.base import Base
from mycelium.models import Event, Level, Notification, validated


class NotificationVerbs(Base):
    """Tell users of what agents do."""

    async def notify_user(
        self,
        user: str,
        message: str,
        *,
        title: str = "",
        level: Level = "info",
        task_id: str | None = None,
        data: Mapping[str, JsonValue] | None = None,
    ) -> Event:
        """Tell a person something, perhaps about a task: a `user.notification` on the channel `users:events`.

        `user` is their name or id, on one line. The message may have 10,000 characters, the title 500 and
        `data`, which is passed on as it is, 64 KiB as JSON.

        Raises:
            NotFound: there is no such task.
        """
        said = validated(
            Notification, user=user, message=message, title=title, level=level, task_id=task_id,
            data={} if data is None else data,
        )  # fmt: skip
        (event,) = (await self.backend.commit(lambda view: rules.notify_user(view, said, self.agent))).events
        return event
