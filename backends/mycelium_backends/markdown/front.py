"""Front matter: values between two lines of `---`, one key a line, with whatever else people write there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from functools import cache
from typing import Any, Final, cast

Fields = dict[str, Any]

LIMIT: Final = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
"""Texts that need no quotes, as every reader of YAML takes them for texts."""
WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
KEY: Final = re.compile(r"""(?:"([^"\\]*)"|'([^']*)'|([^\s#"'\[{&*!|>%@`,-][^:#]*?))\s*:(?:\s|$)""")
COMMENT: Final = re.compile(r"""[^"'\[{]*?(\s+#.*)""")


DEEPEST: Final = 50
"""Values within each other that front matter may have."""


class Unreadable(ValueError):
    """A text is not what it should be; says why."""


def split(text: str) -> tuple[str, str]:
    """The front matter and what follows it.

    Raises:
        Unreadable: there is none, or it does not end.
    """
    begin = LIMIT.match(text)
    if begin is None:
        raise Unreadable("it does not begin with front matter (a line of ---)")
    end = LIMIT.search(text, begin.end())
    if end is None:
        raise Unreadable("its front matter does not end with a line of ---")
    return text[begin.end() : end.start()], text[end.end() :]


@cache
def _loader() -> type[Any]:
    """A reader that leaves scalars as texts, for the records' own types to judge; only null is null."""
    import yaml

    class Loader(yaml.CSafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: kept
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
        if (kept := [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"])
    }
    return Loader


def load(front: str) -> Fields:
    """The values, as texts, lists and mappings.

    Raises:
        Unreadable: it is not YAML, not one key a line, too deep, or has an alias.
    """
    import yaml

    try:
        refusal = _refusal(front)
        found: object = None if refusal else yaml.load(front, _loader())  # a safe loader with fewer types
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"its front matter is not YAML: {_in_a_line(error)}") from None
    if refusal:
        raise Unreadable(refusal)
    if not isinstance(found, dict):
        raise Unreadable("its front matter is not a list of `key: value` lines")
    fields = cast("dict[Any, Any]", found)
    keys = [key for key, _ in chunks(front) if key is not None]
    if len(keys) != len(set(keys)):
        raise Unreadable("its front matter says a key twice")
    if {str(key) for key in fields} != set(keys):
        raise Unreadable("its front matter does not have one key a line")
    return {str(key): value for key, value in fields.items() if value is not None}


def _refusal(front: str) -> str:
    """Why these values may not be built: aliases make a few lines a world of them, and depth ends the process."""
    import yaml

    depth = 0
    for event in yaml.parse(front, _loader()):
        if isinstance(event, yaml.AliasEvent):
            return "its front matter has a YAML alias (*), which is not followed"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return f"its front matter has more than {DEEPEST} values within each other"
    return ""


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def chunks(front: str) -> list[tuple[str | None, str]]:
    """The lines, each key with what belongs to it; comments and empty lines before a key stand alone."""
    found: list[tuple[str | None, str]] = []
    for line in front.splitlines(keepends=True):
        key = KEY.match(line)
        if key is not None:
            found.append((next(name for name in key.groups() if name is not None), line))
        elif found and found[-1][0] is not None and not line.startswith("#") and line.strip():
            found[-1] = (found[-1][0], found[-1][1] + line)
        else:
            found.append((None, line))
    return found


def write(fields: Mapping[str, object]) -> str:
    """Front matter with these values only."""
    return "".join(f"{name}: {value_of(value)}\n" for name, value in fields.items())


def merge(old: str, fields: Mapping[str, object], ours: Set[str]) -> str:
    """Put new values of our keys into front matter, and leave the rest of it as it is."""
    before, after = load(old), load(write(fields))
    left = dict(fields)
    lines: list[str] = []
    for key, text in chunks(old):
        if key not in ours:
            lines.append(text)
        elif key in left:
            same = before.get(key) == after[key]
            lines.append(text if same else f"{key}: {value_of(left[key])}{_comment(text)}\n")
            del left[key]
    return "".join(lines) + write(left)


def _comment(text: str) -> str:
    found = COMMENT.fullmatch(text.rstrip("\n"))
    return found[1] if found else ""


def value_of(value: object) -> str:
    """A value in YAML, on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case list():
            return f"[{', '.join(value_of(each) for each in cast('list[object]', value))}]"
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return f"{{{', '.join(f'{name}: {value_of(each)}' for name, each in pairs)}}}"
        case _:
            raise TypeError(type(value))


def _text(value: str) -> str:
    if MOMENT.fullmatch(value) or (PLAIN.fullmatch(value) and value.lower() not in WORDS):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
