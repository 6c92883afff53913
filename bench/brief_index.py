"""Names of data sets and suites with a line each, in a file that is read where importing their readers takes a second.

`bench/brief_index.json` is written from the catalogue and the suites, never by hand, whenever one of them says
something else:

    python -m bench.brief_index

A test holds that they are equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from bench.files import replaced

INDEX = Path(__file__).with_name("brief_index.json")


class BriefIndex(TypedDict):
    """Names and what each is, in one line."""

    datasets: dict[str, str]
    suites: dict[str, str]


def brief_index() -> BriefIndex:
    """Reads the file."""
    index: BriefIndex = json.loads(INDEX.read_text(encoding="utf-8"))
    return index


def current() -> BriefIndex:
    """What the catalogue and the suites say."""
    from bench.data import catalog
    from bench.suite_files import load_suite, suite_names

    suites = {name: " ".join(load_suite(name).description.split()).partition(". ")[0] for name in suite_names()}
    return BriefIndex(datasets=catalog.available_datasets(), suites=suites)


def write_brief_index(path: Path = INDEX) -> None:
    """Writes what the catalogue and the suites say."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(current(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_brief_index()
