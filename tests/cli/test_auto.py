"""Which store `auto` stands for: the same one from everywhere in a project."""

import os
import subprocess
from pathlib import Path

import pytest

from mycelium.errors import BackendUnavailable
from mycelium.settings import Surroundings
from mycelium_backends.auto import choose, find_place
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def own_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings, and no repository around the tests' own folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *args: str) -> None:
    given = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *given, *args], cwd=folder, check=True, capture_output=True)


def repository(folder: Path, *how: str) -> Path:
    folder.mkdir()
    git(folder, "init", *how)
    git(folder, "commit", "--allow-empty", "-m", "begin")
    return folder


def status_of(project: Path) -> str:
    command = ["git", "status", "--porcelain"]
    return subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout


def store_for(folder: Path) -> str:
    return choose(Surroundings(folder, folder / "data")).url


def store_in(project: Path) -> str:
    return f"sqlite:///{project}/.mycelium/mycelium.db"


def test_a_repository_has_one_store(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    (project / "src" / "deep").mkdir(parents=True)
    assert store_for(project) == store_for(project / "src" / "deep") == store_in(project)


def test_worktrees_share_the_store_of_the_main_one(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    git(project, "worktree", "add", "../other")
    (tmp_path / "other" / ".mycelium").mkdir()  # as a tool that knows no worktrees may leave it
    assert store_for(tmp_path / "other") == store_in(project)


def test_a_submodule_is_a_project_of_its_own_and_so_are_its_worktrees(tmp_path: Path) -> None:
    inner, outer = repository(tmp_path / "inner"), repository(tmp_path / "outer")
    git(outer, "submodule", "add", str(inner), "part")
    git(outer / "part", "worktree", "add", str(tmp_path / "part-2"))
    assert store_for(outer / "part") == store_in(outer / "part")
    assert store_for(tmp_path / "part-2") == store_in(outer / "part")


def test_worktrees_of_a_bare_repository_share_one(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    git(tmp_path, "clone", "--bare", "project", "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "../one")
    git(tmp_path / "bare.git", "worktree", "add", "../two", "-b", "two")
    assert store_for(tmp_path / "one") == store_for(tmp_path / "two") == store_in(tmp_path / "bare.git")
    assert store_for(project) == store_in(project)


def test_worktrees_beside_a_hidden_bare_repository_share_the_folder_around_it(tmp_path: Path) -> None:
    around = tmp_path / "around"
    repository(tmp_path / "project")
    around.mkdir()
    git(around, "clone", "--bare", "../project", ".bare")
    (around / ".git").write_text("gitdir: ./.bare\n")
    git(around, "worktree", "add", "one")
    assert store_for(around) == store_for(around / "one") == store_in(around)


def test_a_store_in_a_folder_makes_it_a_project(tmp_path: Path) -> None:
    (tmp_path / "team" / ".mycelium").mkdir(parents=True)
    (tmp_path / "team" / "a" / "b").mkdir(parents=True)
    assert store_for(tmp_path / "team" / "a" / "b") == store_in(tmp_path / "team")


def test_what_git_could_not_follow_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
    assert store_for(tmp_path) == store_in(tmp_path)


def test_outside_a_project_it_is_the_users_own(tmp_path: Path) -> None:
    choice = choose(Surroundings(Path("/"), tmp_path / "data"))
    assert choice.url == f"sqlite:///{tmp_path}/data/mycelium.db"
    assert "outside a project" in choice.reason


def test_where_no_store_can_be_it_says_what_was_tried(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    (project / ".mycelium").write_text("in the way")
    (project / ".claude").write_text("in the way, too")
    with pytest.raises(BackendUnavailable) as caught:
        choose(Surroundings(project, tmp_path / "data"))
    files = project / ".claude" / "coordination"
    assert caught.value.data["tried"] == [
        f"{store_in(project)} (the store of the project {project}): {project}/.mycelium is not a folder",
        f"markdown://{files} (markdown files in {files}): {project}/.claude is not a folder",
    ]


def test_a_new_store_is_kept_out_of_git(mycelium: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = repository(tmp_path / "project")
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    mycelium.succeed("create", "review")
    assert (project / ".mycelium" / "mycelium.db").exists()
    assert status_of(project) == ""


def test_a_configuration_beside_the_store_can_be_committed(
    mycelium: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository(tmp_path / "project")
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    mycelium.succeed("create", "review")
    (project / ".mycelium" / "config.json").write_text("{}")
    assert status_of(project) == "?? .mycelium/\n"
    git(project, "add", ".")
    assert status_of(project) == "A  .mycelium/config.json\n"


def test_looking_for_the_place_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = repository(tmp_path / "project")
    monkeypatch.chdir(project)
    place = find_place("auto")
    assert (place.url, place.exists()) == (store_in(project), False)
    place.examine()
    assert [file.name for file in project.iterdir()] == [".git"]


def test_commands_use_it_and_only_those_that_write_make_it(
    mycelium: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository(tmp_path / "project")
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    assert mycelium.fail(3, "tasks").startswith(f"backend_unavailable: There is no store at {store_in(project)} yet.")
    assert not (project / ".mycelium").exists()
    mycelium.succeed("create", "review")
    assert dict(mycelium.succeed("stats").rows)["store"] == store_in(project)
