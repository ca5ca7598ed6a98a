"""What is made from the code is what the code makes now, and is complete."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mycelium.settings import settings
from tests.docs.pages import ROOT

ROOMS = ("mycelium", "backends", "tools", "server")
PATIENCE = 180.0
"""Seconds: a bound for a broken build, generous because a call is 20 seconds of work on a core that others load."""
IGNORED = shutil.ignore_patterns("__pycache__")


def generate(root: Path, *arguments: str) -> tuple[int, str]:
    """Its exit code, and all that it said."""
    command = [sys.executable, "docs/generate.py", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(300)  # beyond the bound of one call
def test_every_made_part_is_up_to_date() -> None:
    assert generate(ROOT, "--check") == (0, "")


@pytest.mark.timeout(600)  # beyond the bound of two calls
def test_a_stale_part_is_told_and_left_and_then_written(tmp_path: Path) -> None:
    for room in (*ROOMS, "docs"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=IGNORED)
    page = tmp_path / "README.md"
    whole = (ROOT / "README.md").read_text(encoding="utf-8")
    stale = whole.replace("`claim_task`", "`grab_task`")
    assert stale != whole
    page.write_text(stale, encoding="utf-8")
    assert generate(tmp_path, "--check") == (
        1,
        "out of date: README.md\n`make docs` brings them up to date.\n",
    )
    assert page.read_text(encoding="utf-8") == stale
    assert generate(tmp_path) == (0, "written: README.md\n")
    assert page.read_text(encoding="utf-8") == whole


def test_every_variable_that_is_read_stands_among_the_settings() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    read = set(_variables())
    assert {"MYCELIUM_BACKEND", "MYCELIUM_LOG"} <= read
    assert not [name for name in sorted(read) if f"`{name}`" not in page]


def test_every_setting_stands_among_the_settings_with_its_variables() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = {cells[1].strip(" `"): cells for line in page.splitlines() if len(cells := line.split("|")) == 6}
    for name, setting in settings().items():
        assert setting.says in rows[name][2]
        assert all(f"`{variable}`" in rows[name][4] for variable in setting.variables)


def _variables() -> Iterator[str]:
    """The environment variables that the code names: those of flags, and those it reads itself."""
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="envvar", value=ast.Constant(value=str() as name)):
                    yield name
                case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str() as name)):
                    yield name
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="environ")),
                    args=[ast.Constant(value=str() as name), *_],
                ):
                    yield name
                case ast.Call(func=ast.Attribute(attr="getenv"), args=[ast.Constant(value=str() as name), *_]):
                    yield name
                case _:
                    pass
