"""`analyze_code`: what ruff has to say of some Python, in three ways of asking."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process
from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import InvalidInput, TimedOut, TooLarge, ToolFailed, UnsupportedLanguage
from mycelium_workbench.helper import end
from mycelium_workbench.registry import tool
from mycelium_workbench.reply import Reply

Kind: TypeAlias = Literal["quality", "security", "performance"]
Severity: TypeAlias = Literal["high", "medium", "low"]

RULES: Final[Mapping[Kind, str]] = {
    "quality": "E,F,W,C90,N,SIM,B,UP",
    "security": "S",
    "performance": "PERF,C4,FURB,UP034,RUF015,RUF017,PLC0206,PLC0208,B019,SIM118,ASYNC2",
}
OF_FILES: Final = "W291,W292,W293"
"""Blanks and newlines at ends, which nobody means to say anything by in a piece of code."""
LANGUAGES: Final = ("python",)
NAMES_OF_PYTHON: Final = frozenset({"python", "py", "python3"})
MOST: Final = 200
"""Findings in one answer; the counts are of all."""
SHOWN: Final = 50
"""Findings in its text."""
LONGEST: Final = 1024 * 1024
"""Bytes of code."""
MOST_SAID: Final = 8 * 1024 * 1024
"""Bytes that ruff may say of it: some hundred for each finding."""
ANALYSED_WITHIN: Final = 20.0
"""Seconds for one run of ruff, which usually takes 0.02."""

# By how much harm it does, most of it in bandit's own judgement; the longest prefix that fits counts.
SEVERITIES: Final[Mapping[str, Severity]] = {
    "invalid-syntax": "high",
    # quality: what fails when it runs, then what is likely a mistake, then taste
    "F821": "high", "F823": "high", "F7": "high", "F63": "high", "E9": "high", "B": "medium", "F": "medium",
    "C90": "medium", "E722": "medium",
    # security
    "S": "medium", "S101": "low", "S105": "low", "S106": "low", "S107": "low", "S110": "low", "S112": "low",
    "S201": "high", "S202": "high", "S304": "high", "S305": "high", "S311": "low", "S312": "high", "S321": "high",
    "S324": "high", "S4": "low", "S501": "high", "S502": "high", "S504": "high", "S505": "high", "S602": "high",
    "S603": "low", "S604": "medium", "S605": "high", "S606": "low", "S607": "low", "S609": "high", "S701": "high",
    # performance
    "PERF": "medium", "B019": "high", "RUF017": "medium", "ASYNC2": "high",
}  # fmt: skip


@dataclass
class Said:
    """What ruff said."""

    findings: bytearray = field(default_factory=bytearray)
    trouble: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None


@tool(ToolAnnotations(read_only_hint=True, open_world_hint=False))
async def analyze_code(
    bench: Bench,
    code: Annotated[str | None, Field(description="The source itself, or")] = None,
    path: Annotated[str | None, Field(description="a file that has it")] = None,
    language: str = "python",
    analysis_type: Kind = "quality",
) -> Reply:
    """Find problems in Python without running it."""
    if (code is None) == (path is None):
        raise InvalidInput("Exactly one of code and path is needed.", hint="Pass the source, or where it is.")
    if language.strip().lower() not in NAMES_OF_PYTHON:
        raise UnsupportedLanguage(
            f"No analyser for {language[:40]!r} is here.",
            hint=f"Supported: {', '.join(LANGUAGES)}.",
            supported=list(LANGUAGES),
        )
    source = code.encode("utf-8", "surrogatepass") if code is not None else await _read(bench, path or "")
    if len(source) > LONGEST:
        raise TooLarge(f"The code has over {LONGEST} bytes.", hint="Pass one file at a time, or a part.")
    said = await _ask_ruff(source, analysis_type, whole=code is None)
    return await anyio.to_thread.run_sync(lambda: _reply([_finding(each) for each in _parsed(said)], analysis_type))


async def _read(bench: Bench, path: str) -> bytes:
    return await anyio.to_thread.run_sync(bench.folder.read_bytes, path)


async def _ask_ruff(source: bytes, kind: Kind, *, whole: bool) -> Said:
    """What ruff finds, in its own words.

    Nothing around counts: neither a configuration, nor, in matters of security, comments that silence a rule.
    """
    from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  it has none

    deaf = ["--ignore-noqa"] if kind == "security" else []
    words = ["check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--output-format=json", *deaf]
    try:
        with anyio.fail_after(ANALYSED_WITHIN):
            command = [
                find_ruff_bin(),
                *words,
                f"--select={RULES[kind]}",
                *([] if whole else [f"--ignore={OF_FILES}"]),
                "-",
            ]
            return await _run(command, source)
    except TimeoutError:
        raise TimedOut("The analysis took too long.", hint="Pass a smaller piece of code.") from None
    except OSError as error:
        raise ToolFailed(f"ruff cannot be run: {error}.", hint="Install it: pip install ruff.") from error


async def _run(command: list[str], source: bytes) -> Said:
    """Run it, with no more of its words in memory than there is room for; then it is stopped."""
    said = Said()
    process = await anyio.open_process(command, cwd="/", env={"PATH": os.defpath, "NO_COLOR": "1"})
    try:
        whole = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed, process, source)
            tasks.start_soon(_take, process.stderr, said.trouble, MOST_SAID // 100)
            whole = await _take(process.stdout, said.findings, MOST_SAID)
            if not whole:
                end(process)
        said.exit_code = await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            end(process)
            await process.aclose()
    if not whole:
        raise TooLarge("There is more to say of this code than fits.", hint="Pass a smaller piece of it.")
    return said


async def _feed(process: Process, source: bytes) -> None:
    assert process.stdin is not None
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(source)
        await process.stdin.aclose()


async def _take(stream: ByteReceiveStream | None, taken: bytearray, most: int) -> bool:
    """Take what comes until it ends; False when there is too much of it."""
    assert stream is not None
    async for chunk in stream:
        if len(taken) + len(chunk) > most:
            return False
        taken += chunk
    return True


def _parsed(said: Said) -> list[dict[str, Any]]:
    try:
        return json.loads(said.findings)
    except ValueError:
        why = said.trouble.decode(errors="replace").strip()[:500] or f"exit code {said.exit_code}"
        raise ToolFailed(f"ruff gave no findings: {why}", hint="Is the code UTF-8 text?") from None


def _finding(said: Mapping[str, Any]) -> dict[str, Any]:
    rule = str(said["code"] or "invalid-syntax")
    place = said["location"]
    return {
        "line": place["row"],
        "column": place["column"],
        "rule": rule,
        "severity": _severity(rule),
        "message": said["message"],
    }


def _severity(rule: str) -> Severity:
    fitting = [prefix for prefix in SEVERITIES if rule.startswith(prefix)]
    return SEVERITIES[max(fitting, key=len)] if fitting else "low"


def _reply(findings: list[dict[str, Any]], kind: Kind) -> Reply:
    found = Counter(each["severity"] for each in findings)
    counts = {severity: found[severity] for severity in ("high", "medium", "low")}
    data = {
        "language": "python",
        "analysis_type": kind,
        "tool": "ruff",
        "findings": findings[:MOST],
        "counts": counts,
        "more": max(0, len(findings) - MOST),
    }
    lines = [
        f"{each['line']}:{each['column']} {each['rule']} {each['severity']}: {each['message']}" for each in findings
    ]
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    head = f"{kind}: {len(findings)} found ({said})" if findings else f"{kind}: nothing found"
    return Reply("\n".join([head, *lines[:SHOWN], *more]), data)
