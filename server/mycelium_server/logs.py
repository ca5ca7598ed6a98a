"""Logs: one line each, to stderr."""

from __future__ import annotations

import logging
import sys
from typing import Final

TALKATIVE: Final = ("anthropic", "openai", "httpx", "httpx2", "httpcore", "httpcore2")
"""Loggers that write down whole requests under DEBUG: prompts, and what tools found."""
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Keeps a message on its line, whatever text of agents it quotes; only a traceback follows on more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name that logging calls
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def log_to_stderr(level: str) -> None:
    """Send every log from `level` on (DEBUG to CRITICAL, in any case) to stderr; others mean WARNING.

    No level lets out what models are asked.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    wanted = logging.getLevelNamesMapping().get(level.upper())
    logging.basicConfig(handlers=[handler], level=logging.WARNING if wanted is None else wanted, force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
    if wanted is None:
        logging.getLogger("mycelium.server").warning("unknown log level %r in MYCELIUM_LOG, using WARNING", level)
