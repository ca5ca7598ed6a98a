"""Which model is opened, and what is imported for it."""

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import SecretStr

from mycelium.errors import InvalidConfig
from mycelium.settings import network
from mycelium_worker.conversation.loop import converse
from mycelium_worker.model import Message, Text
from mycelium_worker.providers import open_model
from tests.support.model_endpoint import model_endpoint
from tests.support.model_script import Answer, Api, Say
from tests.support.store import PATIENCE
from tests.worker.models.scene import scene, text_in

HELLO = [Message("user", [Text("Hello")])]
HI = Answer([Say("Hi.")])


@pytest.mark.parametrize("provider", ["claude", "openai"])
async def test_no_key_and_no_address_is_no_model(provider: str) -> None:
    worker = network.Worker.model_validate({"provider": provider})
    async with open_model(worker, network.Claude(), network.OpenAI()) as model:
        assert model is None


@pytest.mark.parametrize(("provider", "api"), [("claude", "messages"), ("openai", "chat")])
@pytest.mark.parametrize("key", [None, "secret"])
async def test_the_model_of_the_settings_is_asked_where_they_say(provider: str, api: Api, key: str | None) -> None:
    async with model_endpoint([HI]) as endpoint:
        secret = SecretStr(key) if key else None
        claude = network.Claude(api_key=secret, base_url=endpoint.url, model="claude-haiku-5-5", max_tokens=77)
        openai = network.OpenAI(api_key=secret, base_url=endpoint.chat_url, model="some/model:7b", max_tokens=77)
        worker = network.Worker.model_validate({"provider": provider})
        async with open_model(worker, claude, openai) as model:
            assert model is not None
            with anyio.fail_after(PATIENCE):
                turn = await model.answer("Be brief.", HELLO, [], hear=lambda text: None)
    (asked,) = endpoint.asked
    assert turn.text == "Hi."
    assert asked.api == api
    assert asked.body["model"] == model.name == (claude.model if provider == "claude" else openai.model)
    assert asked.body["max_tokens" if provider == "claude" else "max_completion_tokens"] == 77
    assert asked.headers["authorization"] == f"Bearer {key or 'none'}"
    assert "tools" not in asked.body


async def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    settings = network.OpenAI(api_key=SecretStr("key"))
    with pytest.raises(InvalidConfig) as caught:
        async with open_model(network.Worker(provider="openai"), network.Claude(), settings):
            pass
    assert caught.value.hint == "Install it with: pip install 'mycelium-mcp[openai]'"


def test_no_sdk_is_imported_before_a_model_is_opened() -> None:
    names = "{'anthropic', 'openai'} & set(sys.modules)"
    program = f"import sys, mycelium_worker.conversation, mycelium_worker.providers; print(sorted({names}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert said.stdout.strip() == "[]"


def test_the_conversation_is_what_does_all_other_types_of_tasks() -> None:
    (point,) = entry_points(group="mycelium.executors", name="*")
    assert point.load() is converse


async def test_the_endpoint_refuses_what_the_real_one_refuses() -> None:
    unanswered: dict[str, Any] = {
        "model": "m", "max_tokens": 1, "tools": [{"name": "t", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "one", "name": "t", "input": {}}]},
            {"role": "user", "content": "and?"},
        ],
    }  # fmt: skip
    async with model_endpoint([HI, HI]) as endpoint, httpx2.AsyncClient() as client:
        headers = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
        answer = await client.post(f"{endpoint.url}/v1/messages", json=unanswered, headers=headers)
    assert answer.status_code == 400
    assert "without tool_result blocks" in answer.json()["error"]["message"]


async def test_the_endpoint_is_a_program_too() -> None:
    command = [sys.executable, "-m", "tests.support.model_endpoint", "--script", "overload"]
    async with await anyio.open_process(command) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(PATIENCE):
                url = (await process.stdout.receive()).decode().strip()
                async with scene([HI]) as s:
                    settings = network.Claude(api_key=SecretStr("key"), base_url=url)
                    async with open_model(network.Worker(), settings, network.OpenAI()) as model:
                        object.__setattr__(s.attempt, "model", model)
                        result = await s.hold()
        finally:
            process.terminate()
            await process.wait()
    assert text_in(result) == "Done, as you asked."
    assert s.waits == [0.5]
