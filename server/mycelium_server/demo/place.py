"""What is surveyed unless somebody says, and where the demo keeps its store and its report."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mycelium
from mycelium.errors import InvalidInput
from mycelium_server.demo.survey import Target
from mycelium_server.demo.values import printable


def target_at(folder: Path | None) -> Target:
    """What to survey: this folder, or Mycelium's own source.

    Raises:
        InvalidInput: it is no folder, or one that cannot be named to others.
    """
    if folder is None:
        return _own_source(Path(mycelium.__file__).resolve().parents[1])
    name = str(folder)
    if not folder.is_dir():
        raise InvalidInput(
            f"{printable(name)!r} is not a folder.", hint="Name a folder with Python files in it.", fields=["folder"]
        )
    resolved = str(folder.resolve())
    try:
        resolved.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"The name of the folder {resolved!a} is not UTF-8.",
            hint="Rename it, or survey another.",
            fields=["folder"],
        ) from None
    return Target(folder=resolved, name=printable(name if name != "." else Path(resolved).name or resolved))


def _own_source(root: Path) -> Target:
    """A checkout whole; of an installation, which has other people's packages beside ours, only ours."""
    if (root / "pyproject.toml").is_file():
        return Target(folder=str(root), name="Mycelium's own source")
    ours = sorted(path.name for path in root.glob("mycelium*/") if (path / "__init__.py").is_file())
    return Target(folder=str(root), only=tuple(ours), name="Mycelium's own source")


def new_place(here: Path) -> Path:
    """A new folder for one run: in `.mycelium/demo/` of the project around `here`, else among temporary files."""
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-"
    project = next((each for each in [here, *here.parents] if (each / ".git").exists()), None)
    if project is not None:
        try:
            return _in_project(project / ".mycelium" / "demo", name)
        except OSError:
            pass  # a project that cannot be written to is no reason not to show the demo
    return Path(tempfile.mkdtemp(prefix=f"mycelium-demo-{name}"))


def _in_project(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return Path(tempfile.mkdtemp(prefix=name, dir=folder))
