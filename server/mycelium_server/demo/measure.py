"""Measuring Python files with ruff: lines, functions, complexity, unused imports."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import anyio
from pydantic import TypeAdapter

from mycelium_server.demo.values import Frozen

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a file that is still measured: longer ones were not written by people."""
WORST: Final = 5
"""Functions of a file that are named, the most complex ones."""
NAMED: Final = 10
"""Unused imports of a file that are named."""
LONGEST: Final = 100
"""Characters of a name or message."""
PATIENCE: Final = 60.0
"""Seconds for one run of ruff, which usually takes 0.01."""

OPTIONS: Final = (
    "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--ignore-noqa", "--output-format=json",
    "--select=C901,F401,E902", "--per-file-ignores=__init__.py:F401", "--config=lint.mccabe.max-complexity=0",
    "--target-version=py314",
)  # fmt: skip
"""With 0 complexities allowed, every function is reported with its own. What a package's `__init__` imports is for
others. The newest syntax is allowed."""
COMPLEXITY: Final = re.compile(r"`(.+)` is too complex \((\d+) > 0\)")
UNUSED: Final = re.compile(r"`(.+?)` imported but unused")


class Function(Frozen):
    """A function and its cyclomatic complexity: the number of ways through it."""

    name: str
    line: int
    complexity: int


class FileMeasure(Frozen):
    """What was found in one file. With a `problem` only the lines may be known."""

    path: str
    lines: int = 0
    functions: int = 0
    complexity: int = 0
    """Of all its functions together."""
    worst: tuple[Function, ...] = ()
    unused: tuple[str, ...] = ()
    unused_count: int = 0
    problem: str | None = None


class MeasuringFailed(Exception):
    """Ruff did not do its work; says why."""


class _Place(Frozen):
    row: int


class _Finding(Frozen):
    filename: str
    code: str | None
    message: str
    location: _Place


_FINDINGS: Final = TypeAdapter(list[_Finding])


async def measure_files(folder: Path, paths: Sequence[str]) -> list[FileMeasure]:
    """Measure these files, paths relative to `folder`. One that cannot be measured says why in its `problem`.

    Raises:
        MeasuringFailed: ruff cannot be run.
    """
    counted = await anyio.to_thread.run_sync(lambda: [_count_lines(folder, path) for path in paths])
    sound = [each.path for each in counted if each.problem is None]
    findings = await _findings(folder, sound)
    return [each if each.problem else _measured(each, findings.get(each.path, ())) for each in counted]


def _count_lines(folder: Path, path: str) -> FileMeasure:
    try:
        size = _regular_size(folder / path)
        if size > LARGEST:
            return FileMeasure(path=path, problem=f"too long: {size:,} bytes")
        content = (folder / path).read_bytes()
    except OSError as error:
        return FileMeasure(path=path, problem=f"cannot be read: {error.strerror}")
    return FileMeasure(path=path, lines=len(content.splitlines()))


def _regular_size(path: Path) -> int:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is no longer a regular file")
    return found.st_size


async def _findings(folder: Path, paths: Sequence[str]) -> dict[str, list[_Finding]]:
    """What ruff says of these files, by path."""
    if not paths:
        return {}
    from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  it has none

    # The leading dot keeps names such as "-x.py" and "@x.py" from being read as options.
    arguments = [*OPTIONS, *(f"./{path}" for path in paths)]
    try:
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process([find_ruff_bin(), *arguments], cwd=folder, check=False)
    except (OSError, TimeoutError) as error:
        raise MeasuringFailed(f"ruff cannot be run: {error or 'it took too long'}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise MeasuringFailed(f"ruff ended with {done.returncode}: {''.join(said)}")
    return _by_path(_FINDINGS.validate_json(done.stdout), folder)


def _by_path(findings: Iterable[_Finding], folder: Path) -> dict[str, list[_Finding]]:
    found: dict[str, list[_Finding]] = {}
    for finding in findings:
        path = Path(os.path.relpath(finding.filename, folder)).as_posix()
        found.setdefault(path, []).append(finding)
    return found


def _measured(counted: FileMeasure, findings: Iterable[_Finding]) -> FileMeasure:
    functions: list[Function] = []
    unused: list[str] = []
    for finding in findings:
        match finding.code:
            case "C901" if found := COMPLEXITY.match(finding.message):
                function = Function(name=_cut(found[1]), line=finding.location.row, complexity=int(found[2]))
                functions.append(function)
            case "F401" if found := UNUSED.match(finding.message):
                unused.append(_cut(found[1]))
            case _:
                return counted.model_copy(update={"problem": _problem(finding)})
    functions.sort(key=lambda each: (-each.complexity, each.line))
    found = {
        "functions": len(functions),
        "complexity": sum(each.complexity for each in functions),
        "worst": tuple(functions[:WORST]),
        "unused": tuple(unused[:NAMED]),
        "unused_count": len(unused),
    }
    return counted.model_copy(update=found)


def _problem(finding: _Finding) -> str:
    if finding.code == "E902":
        return "not UTF-8" if "UTF-8" in finding.message else f"cannot be read: {_cut(finding.message)}"
    return f"syntax error in line {finding.location.row}: {_cut(finding.message)}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
