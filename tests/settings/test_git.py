"""Which folder stands for a repository."""

from pathlib import Path

import pytest

from mycelium.settings.project import project_around


@pytest.mark.parametrize("as_file", [True, False])
def test_a_repository_that_points_into_itself_stands_for_itself(tmp_path: Path, as_file: bool) -> None:
    """Whoever may only write in the folder could else bring a configuration of their own along."""
    evil = tmp_path / "evil" / ".git"
    (evil / "worktrees" / "x").mkdir(parents=True)
    (evil / "worktrees" / "x" / "commondir").write_text("../..")
    if as_file:
        (tmp_path / ".git").write_text(f"gitdir: {evil}/worktrees/x")
    else:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "commondir").write_text("../evil/.git")
    assert project_around(tmp_path) == tmp_path


def test_a_worktree_inside_its_main_one_stands_for_that(tmp_path: Path) -> None:
    common = tmp_path / ".git"
    (common / "worktrees" / "x").mkdir(parents=True)
    (common / "worktrees" / "x" / "commondir").write_text("../..")
    (tmp_path / "trees" / "x").mkdir(parents=True)
    (tmp_path / "trees" / "x" / ".git").write_text(f"gitdir: {common}/worktrees/x")
    assert project_around(tmp_path / "trees" / "x") == tmp_path
