"""Suites as people write them: small YAML files in `bench/suites/` or anywhere else.

A model may be a plain name or a mapping, a data set likewise, and `seeds: 3` means 0, 1, 2:

    description: What this suite is for.
    datasets: [ml-100k, {name: ml-100k, seen_items: keep}, {path: my/events.csv, user: reader, item: article}]
    models:
      - popularity
      - {model: sasrec-ce, label: sasrec-wide, config: {dim: 128}}
    seeds: 3

Paths are relative to the file's folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.config_errors import explain
from bench.data import catalog
from bench.data.sources.split_tables import is_split_folder
from bench.errors import BenchError, nearest, unknown_name
from bench.files import expanded
from bench.model_files import is_model_file, split_model_file
from bench.names import MOST_SEED, alike, file_part
from bench.plain_text import quoted
from bench.registry import BUILT_IN, model_names
from bench.spec import DatasetSpec, Suite
from bench.text_files import read_text_file
from bench.yaml_text import MOST_BYTES, parse_yaml

_FOLDER = Path(__file__).parent / "suites"
_PATHS = ("path", "valid", "test", "items", "embeddings")
_MOST_SEEDS = 1000
"""That a count may stand for."""


def suite_names() -> list[str]:
    """Lists the names of the suites that come with the project."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def suite_path(name_or_path: str) -> Path:
    """Finds the file of a suite, given its name or a path to any `.yaml` file.

    Raises:
        BenchError: There is no such suite or file.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not os.path.isfile(path):  # noqa: PTH113  # False, too, where no file can be named so
            raise BenchError(f"no suite file '{path}': give a path to a .yaml file or a suite ({_listed()})")
        return path
    if name_or_path not in suite_names():
        raise unknown_name("suite", name_or_path, suite_names())
    return _FOLDER / f"{name_or_path}.yaml"


def load_suite(name_or_path: str) -> Suite:
    """Reads and checks a suite. Imports no model: configurations are checked by `bench.plan.expand`.

    Raises:
        BenchError: The file is missing, is no YAML, or names something unknown. One line, with the file.
    """
    path = suite_path(name_or_path)
    written = _read_yaml(path)
    content = {"name": path.stem, "description": "", **written}
    content["datasets"] = [_dataset(entry, path.parent) for entry in _list_of(written, "datasets", path)]
    content["models"] = [_model(entry, path.parent) for entry in _list_of(written, "models", path)]
    content["seeds"] = seeds_from(written.get("seeds", 1), f"{path}: seeds")
    try:
        suite = Suite.model_validate(content)
    except ValidationError as error:
        raise explain(error, Suite, str(path)) from None
    try:
        _check_names(suite)
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from None
    return suite


def seeds_from(value: Any, where: str) -> list[int]:
    """Seeds from a count (3 means 0, 1, 2) or a list.

    Raises:
        BenchError: It is neither, is empty, or names a seed twice.
    """
    numbers = list(range(value)) if type(value) is int and value <= _MOST_SEEDS else value
    valid = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
    if not valid or not numbers or len(set(numbers)) < len(numbers):
        text = f"should be a count (3 means 0, 1, 2; at most {_MOST_SEEDS:,}) or a list of distinct seeds"
        raise BenchError(f"{where}: {text}, got {quoted(value)}")
    if max(numbers) > MOST_SEED:
        raise BenchError(f"{where}: seed {quoted(max(numbers))} is too large: use 0 to {MOST_SEED}")
    return numbers


def _read_yaml(path: Path) -> dict[str, Any]:
    content = parse_yaml(read_text_file(path, MOST_BYTES), str(path))
    if not isinstance(content, dict):
        raise BenchError(f"{path}: a suite is a mapping with the keys datasets, models and seeds")
    return content


def _list_of(written: dict[str, Any], key: str, path: Path) -> list[Any]:
    if key not in written:
        meant = nearest(key, map(str, written))
        hint = f": is it what '{meant[0]}' should be called?" if meant else ""
        raise BenchError(f"{path}: key '{key}' is missing{hint}")
    value = written[key]
    if not isinstance(value, list) or not value:
        raise BenchError(f"{path}: key '{key}' should be a list with at least one entry")
    return value


def check_labels(datasets: Sequence[DatasetSpec]) -> None:
    """Raises BenchError where tables and folders could not tell two data sets apart."""
    labels = [dataset.label for dataset in datasets]
    tell_apart("data sets", labels, "rename a file, or name each (--name NAME --name NAME, or 'name' in a suite)")


def check_files(suite: Suite) -> None:
    """Raises BenchError where two data sets, rows or comparisons would share a file, on any file system."""
    check_labels(suite.datasets)
    tell_apart("rows", [entry.row for entry in suite.models], "give one of them a 'label'")
    labels = [dataset.label for dataset in suite.datasets]
    known = {label.casefold(): label for label in labels if suite.comparisons}
    for label in known.values():
        for match in re.finditer("-comparison-", label.casefold()):
            other = known.get(label.casefold()[: match.start()])
            if other is not None:
                raise BenchError(f"data sets '{other}' and '{label}' could share a figure: give one another 'name'")
    titles: dict[str, str] = {}
    for comparison in suite.comparisons:
        other = titles.setdefault(file_part(comparison.title), comparison.title)
        if other != comparison.title:
            raise BenchError(f"comparisons '{other}' and '{comparison.title}' would share a figure: change one title")


def tell_apart(kind: str, names: Iterable[str], remedy: str) -> None:
    """Raises BenchError where two names are the same, or could be for a file system."""
    pair = alike(names)
    if pair is not None and pair[0] == pair[1]:
        raise BenchError(f"two {kind} are named '{pair[0]}': {remedy}")
    if pair is not None:
        raise BenchError(
            f"two {kind} are named '{pair[0]}' and '{pair[1]}', which file systems may not tell apart: {remedy}"
        )


def _dataset(entry: Any, folder: Path) -> Any:
    """A data set as `DatasetSpec` takes it; paths are relative to the suite's folder."""
    if not isinstance(entry, dict):
        return {"name": entry} if isinstance(entry, str) else entry
    paths = {key: entry[key] for key in _PATHS if isinstance(entry.get(key), str)}
    placed = {**entry, **{key: str(folder / expanded(path)) for key, path in paths.items()}}
    if "path" in paths and is_split_folder(Path(placed["path"])):
        placed.setdefault("protocol", "shipped")
    return placed


def _model(entry: Any, folder: Path) -> Any:
    """A row as `Entry` takes it; the path of a model's file is relative to the suite's folder."""
    entry = {"model": entry} if isinstance(entry, str) else entry
    if not (isinstance(entry, dict) and isinstance(entry.get("model"), str) and is_model_file(entry["model"])):
        return entry
    path, name = split_model_file(str(folder / expanded(entry["model"])))
    return {**entry, "model": name, "file": path}


def _check_names(suite: Suite) -> None:
    """Raises BenchError where the suite names a model or data set that does not exist, or a row twice."""
    check_files(suite)
    for dataset in suite.datasets:
        if dataset.path is None and dataset.name not in catalog.available_datasets():
            raise unknown_name("data set", dataset.name, catalog.available_datasets())
    names = {name for dataset in suite.datasets for name in (dataset.name, dataset.label)}
    rows: set[str] = set()
    for entry in suite.models:
        registered = entry.model in BUILT_IN or entry.model in model_names()  # which reads what is installed
        if not registered and entry.file is None:
            raise unknown_name("model", entry.model, model_names())
        rows.add(entry.row)
        noted = entry.note if isinstance(entry.note, dict) else ()
        for name in [*(entry.datasets or ()), *entry.per_dataset, *entry.published, *noted]:
            if name not in names:
                raise BenchError(f"row '{entry.row}': {unknown_name('data set of this suite', name, names)}")
    _check_searched_as(suite)
    for finding in suite.paper:
        if finding.row not in rows:
            raise BenchError(f"paper, {finding.metric}: {unknown_name('row of this suite', finding.row, rows)}")
    meant = rows | {entry.model for entry in suite.models}
    asked = [name for pair in suite.questions for name in pair]
    for name in [*asked, *([suite.floor] if suite.floor else []), *suite.references]:
        if name not in meant:
            raise unknown_name("row or model of this suite", name, meant)
    _check_comparisons(suite, rows)


def _check_searched_as(suite: Suite) -> None:
    """Raises BenchError where a row says to be searched as one that is not searched, or not on all of its data sets."""
    entries = {entry.row: entry for entry in suite.models}
    for row, how in suite.searched_as.items():
        where = f"row '{row}': searched_as"
        if how.row not in entries or how.row == row:
            raise BenchError(f"{where}: {unknown_name('other row of this suite', how.row, [*entries.keys() - {row}])}")
        if how.row in suite.searched_as:
            other = suite.searched_as[how.row].row
            raise BenchError(f"{where}: row '{how.row}' is itself searched as '{other}': name that one")
        for dataset in suite.datasets:
            if entries[row].runs_on(dataset) and not entries[how.row].runs_on(dataset):
                raise BenchError(f"{where}: row '{how.row}' does not run on {dataset.label}, where '{row}' does")


def _check_comparisons(suite: Suite, rows: set[str]) -> None:
    """Raises BenchError where a comparison names a row that the suite lacks, or could be mistaken for another."""
    titles = set()
    for comparison in suite.comparisons:
        where = f"comparison '{comparison.title}'"
        if comparison.title in titles:
            raise BenchError(f"two comparisons have the title '{comparison.title}': change one of them")
        titles.add(comparison.title)
        for row in comparison.rows:
            if row not in rows:
                raise BenchError(f"{where}: {unknown_name('row of this suite', row, rows)}")
        if len(set(comparison.rows)) < max(2, len(comparison.rows)):
            raise BenchError(f"{where}: 'rows' should list at least two rows, each of them once")
        if comparison.against not in comparison.rows:
            raise BenchError(f"{where}: {unknown_name('row of its own', comparison.against, comparison.rows)}")


def _listed() -> str:
    return ", ".join(suite_names())
