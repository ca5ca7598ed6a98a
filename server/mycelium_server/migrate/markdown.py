"""Markdown with front matter, as far as tasks are written in it."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from pydantic import JsonValue

from mycelium_server.migrate.foreign import unusable

DEEPEST: Final = 50
"""Levels of lists and mappings in YAML."""
FRONT: Final = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
MARK: Final = re.compile(r"^[ \t]*<!--\s*[A-Z_]+(?::[A-Z_]+)?:(?:BEGIN|END)\s*-->[ \t]*$\n?", re.MULTILINE)
"""Comments that say where a section begins and ends."""
BOX: Final = re.compile(r"[-*] \[([ xX])\] (?:#\d+ )?(.*)")
MENTION: Final = re.compile(r"(?<![\w'\"])(@[\w./-]+)")


def front_matter(text: str, file: str) -> tuple[dict[str, Any], str]:
    """What stands in the front matter, all of it as text, lists and mappings; and what follows it.

    Raises:
        InvalidInput: there is none, or it is not YAML.
    """
    text = text.replace("\r\n", "\n")
    found = FRONT.match(text)
    if found is None:
        raise unusable(file, "it has no front matter")
    return yaml_in(found[1], file), text[found.end() :]


def yaml_in(text: str, file: str) -> dict[str, Any]:
    """A mapping in YAML, with every scalar as the text it was written as. Names like `@ada` need no quotes.

    Raises:
        InvalidInput: it is not one, is nested too deep, or repeats parts of itself.
    """
    import yaml

    try:
        try:
            value = _plain(text, file)
        except yaml.YAMLError:
            value = _plain(MENTION.sub(r'"\1"', text), file)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise unusable(file, f"not YAML ({said[:200]})") from None
    if not isinstance(value, dict):
        raise unusable(file, "its YAML is no mapping")
    return cast("dict[str, Any]", value)


def _plain(text: str, file: str) -> object:
    """The value, after a look at its shape: few lines can nest deeper, or repeat more, than any computer can hold."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise unusable(file, f"it repeats a part of itself (*{event.anchor}), which an import does not read")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise unusable(file, f"its YAML has more than {DEEPEST} levels")
    return yaml.load(text, Loader=yaml.BaseLoader)


def sections(body: str) -> dict[str, JsonValue]:
    """What stands under each heading of the second level, by its name in the manner of `implementation_plan`.

    Check-boxes become a list of what is to be done and whether it is. `text` is what stands before the first heading.
    """
    parts: dict[str, list[str]] = {"text": []}
    name, fenced = "text", False
    for line in MARK.sub("", body).split("\n"):
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not fenced:
            name = re.sub(r"\W+", "_", line[3:].strip().lower()).strip("_") or "text"
            parts.setdefault(name, [])
        else:
            parts[name].append(line)
    return {name: _boxes(text) or text for name, lines in parts.items() if (text := "\n".join(lines).strip())}


def _boxes(text: str) -> list[JsonValue] | None:
    """The check-boxes, if there is nothing else."""
    found = [BOX.fullmatch(line.strip()) for line in text.split("\n") if line.strip()]
    if None in found:
        return None
    return [{"text": box[2], "done": box[1] != " "} for box in found if box]
