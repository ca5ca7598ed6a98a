"""The examples that the documentation points to run as they stand."""

import sys
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from tests.support.processes import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "client_examples"
LONGEST = 60
"""Lines, so that one can be read at a glance."""

SAID = {
    "stdio_client.py": ["connected: ", "created t-", "claimed t-", "completed with result {'said': 'hello, world'}"],
    "handoff.py": ["ada:   created", "grace: claimed 'Add these up'", "ada:   got {'sum': 6}"],
    "library.py": [": draft", ": review", "the workflow is completed, progress 100%"],
    "leaving.py": [
        "ada: began with long",
        "told to end by SIGTERM",
        "ada is offline, the task is pending after 0 attempts",
    ],
}


async def run_example(name: str, *arguments: str, here: Path) -> list[str]:
    """The lines that it prints; it must succeed and have nothing to complain of."""
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process([sys.executable, str(EXAMPLES / name), *arguments], cwd=here, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode().splitlines()


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
async def test_an_example_runs_on_a_store_of_its_own(name: str, tmp_path: Path) -> None:
    lines = await run_example(name, here=tmp_path)
    for line, said in zip(lines, SAID[name], strict=True):
        assert said in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SAID)
async def test_an_example_runs_on_the_store_it_is_given(name: str, tmp_path: Path) -> None:
    await run_example(name, "sqlite:///team.db", here=tmp_path)
    async with Mycelium.open(f"sqlite:///{tmp_path / 'team.db'}", background=False) as m:
        assert {task.status for task in (await m.list_tasks()).records} == {"completed"}


@pytest.mark.parametrize("name", SAID)
def test_an_example_is_short_and_says_how_to_run_it(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) < LONGEST
    assert f"python client_examples/{name} [STORE_URL]" in text
