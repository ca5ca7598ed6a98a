"""Every example of the documentation runs as it stands there."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from mycelium import Mycelium
from tests.docs.pages import PAGES, ROOT, Block, blocks, name_of, pages_with

PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""
LANGUAGES = {
    "console": "run, a block at a time",
    "json": "must be JSON",
    "mermaid": "a picture",
    "py": "a signature",
    "python": "run, all blocks of a page in one namespace",
    "text": "what something says",
}
SHOWN = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
"""A line that says what it prints."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project like a reader's, with this Mycelium installed beside it."""
    (tmp_path / ".git").mkdir()
    for name in (".venv", "client_examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in [name for name in os.environ if name.startswith(("MYCELIUM_", "REDIS_", "TASKQUEUE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_looked_after(page: Path) -> None:
    assert {each.language for each in blocks(page)} <= set(LANGUAGES)
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


@pytest.mark.parametrize("page", pages_with("json"), ids=name_of)
def test_json_is_json(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.code)


@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
async def test_python_runs_and_prints_what_it_says(page: Path, project: Path) -> None:
    with anyio.fail_after(PATIENCE):
        async with Mycelium.open(f"sqlite:///{project / 'page.db'}", agent="ada") as m:
            namespace: dict[str, Any] = {"__name__": "__main__", "m": m}
            for block in blocks(page):
                if block.language == "python" and not block.reason:
                    await _check_output(page, block, namespace)


async def _check_output(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    printed = (await _output_of(page, block, namespace)).splitlines()
    told = SHOWN.findall(block.code)
    if block.said is not None:
        told = block.said.splitlines()
    assert printed == told, f"{name_of(page)}:{block.line}"


async def _output_of(page: Path, block: Block, namespace: dict[str, Any]) -> str:
    """Run a block: as a script if it starts its own event loop, else with `await` in the middle of it."""
    code = compile("\n" * (block.line - 1) + block.code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        if code.co_flags & inspect.CO_COROUTINE:
            await eval(code, namespace)
        else:
            await to_thread.run_sync(exec, code, namespace)
    return output.getvalue()


@pytest.mark.parametrize("page", pages_with("console"), ids=name_of)
async def test_commands_succeed(page: Path, project: Path) -> None:
    for block in blocks(page):
        if block.language == "console" and not block.reason:
            lines = block.code.splitlines()
            assert all(line.startswith("$ ") for line in lines), f"{name_of(page)}:{block.line}"
            script = "\n".join(line.removeprefix("$ ") for line in lines)
            with anyio.fail_after(PATIENCE):
                done = await anyio.run_process(["sh", "-euxc", script], cwd=project, check=False)
            assert done.returncode == 0, f"{name_of(page)}:{block.line}\n{done.stderr.decode()}"
