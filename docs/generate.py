"""Fill the parts of the documentation that are made from the code.

    .venv/bin/python docs/generate.py            write them
    .venv/bin/python docs/generate.py --check    only say which are out of date; exit code 1 if any is

A page marks such a part with `<!-- made from the code: NAME -->` and `<!-- end -->`; NAME is one of `MAKERS`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from generators import MAKERS
from generators.blocks import fill, pages

ROOT: Final = Path(__file__).parents[1]


def main() -> int:
    """Fill every page, or say which would change."""
    parser = argparse.ArgumentParser(prog="docs/generate.py", description="Fill what is made from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page is out of date")
    check: bool = parser.parse_args().check
    stale = [page for page in pages(ROOT) if _refreshed(page, write=not check)]
    for page in stale:
        print(f"{'out of date' if check else 'written'}: {page.relative_to(ROOT)}")
    if check and stale:
        print("`make docs` brings them up to date.")
    return 1 if check and stale else 0


def _refreshed(page: Path, *, write: bool) -> bool:
    """Whether the page is not what the code makes it; with `write`, it then is."""
    before = page.read_text(encoding="utf-8")
    after = fill(before, MAKERS)
    if write and after != before:
        page.write_text(after, encoding="utf-8")
    return after != before


if __name__ == "__main__":
    sys.exit(main())
