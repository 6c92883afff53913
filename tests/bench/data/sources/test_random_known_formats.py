"""Random small logs in every known format, each with one thing wrong: read as they stand, or refused in one line."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.protocols import split
from bench.data.sources.own import load_own
from bench.errors import BenchError

Row = tuple[str, str, int]
FIRST_TIME = 1_500_000_000


@dataclass(frozen=True)
class Written:
    """A log in one format.

    Attributes:
        file: Its name, inside the folder that is given.
        given: What is given to the loader: "" for the folder, else the file's name.
        header: Lines before the first event.
        lines: One event each, as cells by role, or the text itself.
        text: Makes a line from the cells of an event, of which some may be missing (None).
        companion: The name and content of a file of items, which may be absent.
        timed: Whether the format has times; else the order of lines is that of the events.
    """

    file: str
    given: str
    header: tuple[str, ...]
    cells: tuple[dict[str, str | None], ...]
    text: Callable[[dict[str, str | None]], str]
    companion: tuple[str, str] | None
    timed: bool = True

    def content(self) -> list[str]:
        return [*self.header, *(self.text(cells) for cells in self.cells)]


def joined(separator: str, roles: tuple[str, ...]) -> Callable[[dict[str, str | None]], str]:
    def text(cells: dict[str, str | None]) -> str:
        return separator.join(str(cells[role]) for role in roles if cells[role] is not None)

    return text


def as_json(keys: dict[str, str], ticks: int) -> Callable[[dict[str, str | None]], str]:
    def text(cells: dict[str, str | None]) -> str:
        values = {keys[role]: value for role, value in cells.items() if value is not None and role in keys}
        time = keys["time"]
        if values.get(time, "").lstrip("-").isdigit():
            values[time] = int(values[time]) * ticks  # type: ignore[assignment]
        return json.dumps({**values, "overall": 5.0})

    return text


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """At least seven events of two users on four items, no two of which share a time."""
    pairs = st.tuples(st.sampled_from("123"), st.sampled_from(["11", "12", "13", "14", "15"]))
    chosen = [("1", "11"), ("2", "12"), ("1", "13"), *draw(st.lists(pairs, min_size=4, max_size=9))]
    times = draw(st.lists(st.integers(0, 10**8), min_size=len(chosen), max_size=len(chosen), unique=True))
    return [(user, item, FIRST_TIME + time) for (user, item), time in zip(chosen, times, strict=True)]


@st.composite
def written(draw: st.DrawFn) -> tuple[list[Row], Written]:
    rows = draw(logs())
    kind = draw(st.sampled_from(["inter", "2023", "2018", "json", "u.data", "dat", "csv", "pairs"]))
    cells = tuple({"user": user, "item": item, "rating": "4", "time": str(time)} for user, item, time in rows)
    standard = ("user", "item", "rating", "time")
    if kind == "inter":
        clock = draw(st.sampled_from(["timestamp", "time", "unix", "when"]))
        roles = tuple(draw(st.permutations(standard)))
        names = {"user": "user_id:token", "item": "item_id:token", "rating": "rating:float", "time": f"{clock}:float"}
        header = ("\t".join(names[role] for role in roles),)
        items = ("toy.item", "item_id:token\ttitle:token_seq\n11\tEleven\n12\tTwelve\n")
        return rows, Written(
            "toy.inter", draw(st.sampled_from(["", "toy.inter"])), header, cells, joined("\t", roles), items
        )
    if kind == "2023":
        keys = {"user": "user_id", "item": "parent_asin", "time": "timestamp"}
        items = ("meta_Toys.jsonl", json.dumps({"parent_asin": "11", "title": "Eleven"}) + "\n")
        return rows, Written("Toys.jsonl", "Toys.jsonl", (), cells, as_json(keys, 1000), items)
    if kind == "2018":
        keys = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime"}
        items = ("meta_Toys.json", json.dumps({"asin": "11", "title": "Eleven"}) + "\n")
        return rows, Written("Toys_5.json", "Toys_5.json", (), cells, as_json(keys, 1), items)
    if kind == "json":
        keys = {"user": "userId", "item": "item", "time": "ts"}
        return rows, Written("log.jsonl", "log.jsonl", (), cells, as_json(keys, 1), None)
    if kind == "u.data":
        flags = "|".join("0" * 19)
        given = draw(st.sampled_from(["", "u.data"]))
        return rows, Written("u.data", given, (), cells, joined("\t", standard), ("u.item", f"11|Eleven|||x|{flags}\n"))
    if kind == "dat":
        given = draw(st.sampled_from(["", "ratings.dat"]))
        films = ("movies.dat", "11::Eleven (1995)::Drama\n")
        return rows, Written("ratings.dat", given, (), cells, joined("::", standard), films)
    if kind == "csv":
        roles = tuple(draw(st.permutations(standard)))
        names = {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
        header = (",".join(names[role] for role in roles),)
        films = ("movies.csv", "movieId,title,genres\n11,Eleven,Drama\n")
        return rows, Written("ratings.csv", "", header, cells, joined(",", roles), films)
    blank = draw(st.sampled_from([" ", "\t", "  "]))
    pairs = Written("pairs.txt", "pairs.txt", (), cells, joined(blank, ("user", "item")), None, timed=False)
    return rows, pairs


def expected(rows: list[Row], timed: bool) -> dict[str, list[str]]:
    histories = defaultdict(list)
    for user, item, _ in sorted(rows, key=lambda row: row[2]) if timed else rows:
        histories[user].append(item)
    return dict(histories)


def histories(dataset: Dataset) -> dict[str, list[str]]:
    rows = (dataset.interactions.row(user) for user in range(dataset.interactions.n_users))
    items = (dataset.item_ids[dataset.interactions.items[row]].tolist() for row in rows)
    return dict(zip(dataset.user_ids.tolist(), items, strict=True))


def outcome(folder: Path, log: Written, **options: object) -> Dataset | str:
    """The data set, or the one line that refuses it; any other exception is a failure."""
    files = DataFiles.model_validate({"path": str(folder / log.given), **options})
    try:
        return load_own("toy", files)
    except BenchError as error:
        said = str(error)
    assert "\n" not in said
    return said


def put(folder: Path, log: Written, content: bytes, companion: bool) -> None:
    (folder / log.file).write_bytes(content)
    if companion and log.companion is not None:
        (folder / log.companion[0]).write_text(log.companion[1])


def lines_of(log: Written) -> bytes:
    return ("\n".join(log.content()) + "\n").encode()


def must_be(dataset: Dataset | str, rows: list[Row], log: Written) -> Dataset:
    assert isinstance(dataset, Dataset), dataset
    assert histories(dataset) == expected(rows, log.timed)
    if log.timed:
        seconds = sorted(time for _, _, time in rows)
        assert sorted(dataset.interactions.timestamps.tolist()) == seconds
    return dataset


def harmless(data: st.DataObject, rows: list[Row], log: Written, folder: Path) -> None:
    """What means nothing: a byte order mark, Windows' line ends, another order of lines, no file of items."""
    companion = data.draw(st.booleans(), "companion")
    if log.timed and data.draw(st.booleans(), "shuffled"):
        log = replace(log, cells=tuple(data.draw(st.permutations(log.cells))))
    content = lines_of(log)
    content = content.replace(b"\n", b"\r\n") if data.draw(st.booleans(), "crlf") else content
    content = content.rstrip() if data.draw(st.booleans(), "no line end at the end") else content
    content = b"\xef\xbb\xbf" + content if data.draw(st.booleans(), "mark") else content
    put(folder, log, content, companion)
    dataset = must_be(outcome(folder, log), rows, log)
    if log.companion is not None:
        has_text = "Eleven" in dataset.item_table.columns.to_numpy().ravel().tolist()
        assert has_text == companion
        if not companion and log.file != "toy.inter":
            assert f"{log.companion[0]} does not lie beside" in " | ".join(dataset.filters)


def one_bad_row(data: st.DataObject, rows: list[Row], log: Written, folder: Path) -> None:
    """A row without an id or a time, or with one that can't be, is named by its line, and left out on request."""
    bad = data.draw(st.integers(1, len(rows) - 1), "row")  # the first shows what the fields are
    role = data.draw(st.sampled_from(["user", "item", "time"] if log.timed else ["item"]), "role")
    wrong = st.sampled_from(
        [None, "", " ", *(["-5", "soon", "16", "99999999999999999999999"] if role == "time" else [])]
    )
    cells = list(log.cells)
    cells[bad] = {**cells[bad], role: data.draw(wrong, "cell")}
    put(folder, log, lines_of(replace(log, cells=tuple(cells))), True)
    said = outcome(folder, log)
    line = bad + 1 + len(log.header)
    assert isinstance(said, str)
    assert f"{log.file}, line {line}:" in said
    kept = must_be(outcome(folder, log, incomplete="drop"), [row for row in rows if row is not rows[bad]], log)
    assert f"1 of {len(rows)} lines can't be used and are left out" in " | ".join(kept.filters)


def cut_off(data: st.DataObject, rows: list[Row], log: Written, folder: Path) -> None:
    """A last line that is not all there never gives other data than the file had."""
    if log.header and re.search(r"(user|item|movie)_?id(:token)?$", log.header[0], re.IGNORECASE):
        return  # what is left of an id at the end of a line is an id, too
    content = lines_of(log).rstrip()
    last = len(content) - content.rfind(b"\n") - 1
    shorter = content[: -data.draw(st.integers(1, last - 1), "bytes")]
    put(folder, log, shorter, True)
    said = outcome(folder, log)
    if isinstance(said, str):
        assert f"{log.file}, line {len(rows) + len(log.header)}:" in said
        must_be(outcome(folder, log, incomplete="drop"), rows[:-1], log)
    else:
        must_be(said, rows, log)


def doubled(data: st.DataObject, rows: list[Row], log: Written, folder: Path) -> None:
    """A row that stands there twice is kept and counted, or left out."""
    again = data.draw(st.integers(0, len(rows) - 1), "row")
    twice = replace(log, cells=(*log.cells, log.cells[again]))
    put(folder, log, lines_of(twice), True)
    kept = must_be(outcome(folder, log), [*rows, rows[again]], log)
    if log.timed:
        assert "1 rows equal an earlier one in user, item and time; kept" in " | ".join(kept.filters)
        must_be(outcome(folder, log, duplicates="drop"), rows, log)
    else:
        assert "--duplicates drop needs a time" in str(outcome(folder, log, duplicates="drop"))


def renamed(data: st.DataObject, rows: list[Row], log: Written, folder: Path) -> None:
    """A field by a name that nobody knows is asked for, or found by its values; it is never passed over."""
    names = {"user": ("user_id", "userId", "reviewerID"), "item": ("item_id", "movieId", "parent_asin", "asin", "item")}
    names["time"] = ("timestamp", "unixReviewTime", "unix", "when", "time", "ts")
    role = data.draw(st.sampled_from(sorted(names)), "role")
    text = lines_of(log).decode()
    old = next((name for name in names[role] if f'"{name}"' in text or (log.header and name in log.header[0])), None)
    if old is None:
        return
    put(folder, log, text.replace(old, "zzz").encode(), True)
    said = outcome(folder, log)
    if isinstance(said, str):
        assert log.file in said
    else:
        must_be(said, rows, log)
        assert "'zzz'" in " | ".join(said.filters)


KINDS = (harmless, one_bad_row, cut_off, doubled, renamed)


def check(data: st.DataObject) -> None:
    rows, log = data.draw(written())
    kinds = KINDS if log.timed else (harmless, one_bad_row, doubled)  # shorter ids are ids, too
    change = data.draw(st.sampled_from(kinds))
    with tempfile.TemporaryDirectory() as folder:
        change(data, rows, log, Path(folder))


QUIET = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(QUIET, max_examples=60)
@given(st.data())
def test_some_random_files_are_read_as_they_stand_or_refused(data: st.DataObject) -> None:
    check(data)


@pytest.mark.slow
@settings(QUIET, max_examples=1200)
@given(st.data())
def test_random_files_are_read_as_they_stand_or_refused(data: st.DataObject) -> None:
    check(data)


def parts_of(rows: list[Row], sampled: bool) -> tuple[dict[str, list[str]], dict[str, tuple[str, str]]]:
    """The lines of the parts of leave-one-out, and each user's validation and test target."""
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    targets = {}
    by_user = defaultdict(list)
    for user, item, time in sorted(rows, key=lambda row: row[2]):
        by_user[user].append((item, time))
    for user, events in by_user.items():
        if len(events) < 4:
            events = []
        for place, (item, time) in enumerate(events[int(sampled) :], start=int(sampled)):
            part = {len(events) - 2: "valid", len(events) - 1: "test"}.get(place, "train")
            before = " ".join(name for name, _ in events[max(0, place - 3) : place])
            parts[part].append(f"{user}\t{item}\t{time}" + (f"\t{before}" if sampled else ""))
        if events:
            targets[user] = (events[-2][0], events[-1][0])
    return parts, targets


@pytest.mark.slow
@settings(QUIET, max_examples=300)
@given(logs(), st.booleans(), st.randoms(use_true_random=False), st.sampled_from(["toy.", "", "toy-"]))
def test_random_parts_of_a_split_ask_what_they_ship(rows: list[Row], sampled: bool, random, stem: str) -> None:
    rows = [*rows, ("1", "14", FIRST_TIME - 9), ("1", "15", FIRST_TIME - 8)]  # one user at least has four events
    parts, targets = parts_of(rows, sampled)
    header = "user_id:token\titem_id:token\ttime:float" + ("\titem_id_list:token_seq" if sampled else "")
    with tempfile.TemporaryDirectory() as folder:
        for part, lines in parts.items():
            random.shuffle(lines)
            (Path(folder) / f"{stem}{part}.inter").write_text("\n".join([header, *lines]) + "\n")
        dataset = load_own("toy", DataFiles(path=folder))
    kept = [row for row in rows if row[0] in targets]
    assert histories(dataset) == expected(kept, timed=True)
    shipped = split(dataset, "shipped", seen_items="keep")
    for queries, place in ((shipped.validation, 0), (shipped.test, 1)):
        asked = zip(queries.users.tolist(), queries.targets.tolist(), strict=True)
        assert {str(dataset.user_ids[u]): str(dataset.item_ids[i]) for u, i in asked} == {
            user: pair[place] for user, pair in targets.items()
        }
    lengths = dict(zip(dataset.user_ids.tolist(), shipped.train.interactions.lengths.tolist(), strict=True))
    assert lengths == {user: len(items) - 2 for user, items in expected(kept, timed=True).items()}
