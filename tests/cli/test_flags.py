"""Every flag can be set by a variable, which its help names."""

import re
from pathlib import Path

import pytest

from mycelium_server.cli.run import DEADLINE, INTERRUPTED, REFUSED, STORE, USAGE
from tests.cli.conftest import Command

COMMANDS = [
    "agents", "approvals", "approve", "bench", "cancel", "config", "create", "dead-letters", "demo", "doctor",
    "events", "export", "import", "notify", "reject", "serve", "stats", "task", "tasks", "topology", "trigger",
    "triggers", "wait",
    "workbench", "worker", "workflow", "workflows",
]  # fmt: skip
NOT_SETTINGS = {"--help", "--version"}


def test_these_are_the_commands(mycelium: Command) -> None:
    listed = mycelium.succeed("--help").out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert sorted(line.split()[0] for line in listed.splitlines()) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_names_its_variable(mycelium: Command, command: str) -> None:
    help = " ".join(mycelium.succeed(command, "--help").out.split())
    help = help.replace(" / --no-", " or no-")  # the other half of a flag that is on or off
    flags = re.findall(r"(?:^| )(--[a-z-]+)(?= )(.*?)(?=(?: -[a-z],)? --[a-z-]+ |$)", help.partition("Options:")[2])
    wanted = {"--help"} if command == "workbench" else {"--backend", "--help"}  # which has no store
    assert wanted <= {flag for flag, _ in flags}
    for flag, said in flags:
        assert flag in NOT_SETTINGS or re.search(r"\[env var: MYCELIUM_[A-Z_]+", said), f"{command} {flag}: {said}"


def test_every_command_that_ends_has_json(mycelium: Command) -> None:
    without = {command for command in COMMANDS if "--json" not in mycelium.succeed(command, "--help").out}
    assert without == {"serve", "demo", "workbench"}


def test_a_variable_sets_its_flag_for_its_command_alone(mycelium: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    mycelium.succeed("create", "review")
    monkeypatch.setenv("MYCELIUM_TASKS_STATUS", "completed")
    monkeypatch.setenv("MYCELIUM_JSON", "1")
    assert mycelium.succeed("tasks").data["tasks"] == []
    assert mycelium.succeed("tasks", "--status", "pending").data["tasks"][0]["type"] == "review"
    assert mycelium.succeed("agents").data["agents"] == []


def test_a_variable_for_the_version_does_not_stop_every_command(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYCELIUM_VERSION", "1")
    mycelium.succeed("create", "review")
    assert mycelium.succeed("tasks").rows[0][2] == "review"


def test_version(mycelium: Command) -> None:
    assert re.fullmatch(r"mycelium \d+\.\d+\.\d+\S*\n", mycelium.succeed("--version").out)


def test_without_a_command_it_shows_what_there_is(mycelium: Command) -> None:
    assert "Commands:" in mycelium.succeed().out


def test_help_makes_no_store(mycelium: Command, tmp_path: Path) -> None:
    mycelium.succeed("tasks", "--help")
    assert not (tmp_path / "store").exists()


def test_the_help_explains_every_exit_code(mycelium: Command) -> None:
    explained = re.findall(r"^ +(\d+)  +\w", mycelium.succeed("-h").out.partition("Exit codes:")[2], re.MULTILINE)
    assert [int(code) for code in explained] == [0, REFUSED, USAGE, STORE, DEADLINE, INTERRUPTED]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_summary_is_a_whole_sentence(mycelium: Command, command: str) -> None:
    (summary,) = re.findall(rf"^  {command} +(.+)$", mycelium.succeed("-h").out, re.MULTILINE)
    assert re.fullmatch(r"[A-Z].*[^.]\.", summary)
