"""Models of several providers, one module for each.

Another provider is one more file here that implements `mycelium_worker.model.Model`, a section in
`mycelium.settings.network`, and a line below.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from mycelium.errors import InvalidConfig
from mycelium.settings.network import Claude, OpenAI, Worker
from mycelium_worker.model import Model


def check_installed(worker: Worker) -> None:
    """Look whether the provider's package is there, without importing it.

    Raises:
        InvalidConfig: it is not.
    """
    if worker.provider == "openai" and find_spec("openai") is None:
        raise InvalidConfig(
            "The provider openai needs a package that is not installed.",
            hint="Install it with: pip install 'mycelium-mcp[openai]'",
            fields=["worker.provider"],
        )


@asynccontextmanager
async def open_model(worker: Worker, claude: Claude, openai: OpenAI) -> AsyncGenerator[Model | None]:
    """The model that the settings name, closed at the end; None where its provider has neither a key nor an address.

    Raises:
        InvalidConfig: what speaks to this provider is not installed.
    """
    settings = claude if worker.provider == "claude" else openai
    if settings.api_key is None and settings.base_url is None:
        yield None
        return
    check_installed(worker)
    if isinstance(settings, Claude):
        from mycelium_worker.providers.claude import open_claude  # a second, and only for those who ask a model

        async with open_claude(settings) as model:
            yield model
    else:
        from mycelium_worker.providers.openai import open_openai  # an extra, which need not be installed

        async with open_openai(settings) as model:
            yield model
