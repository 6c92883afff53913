"""Random logs in random dialects: what is read is the log, or one line says why not; never other data."""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.data.events import EventLog, assemble
from bench.data.parsing.quotes import look_at_quotes
from bench.data.parsing.text_tables import Dialect
from bench.data.sources.tables import Reading, read_events
from bench.errors import BenchError

Row = tuple[str, str, int]
START = 1_000_000_000
quick = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
thorough = settings(quick, max_examples=400, phases=[Phase.explicit, Phase.generate])

numbers = st.integers(0, 10**20).map(str)
words = st.text(st.sampled_from("abcé ñ'\"x,;|:-_#7"), min_size=1, max_size=6).map(str.strip).filter(bool)
special = st.sampled_from(
    [
        "NA",
        "nan",
        "null",
        "None",
        "007",
        "7",
        "+7",
        "1e3",
        "a,b",
        'x"y',
        '"',
        '"q',
        'say "hi"',
        "12345678901234567890",
        "é",
        "e\u0301",
        "1.50",
    ]
)
item_ids = st.one_of(numbers, words, special)
user_ids = st.one_of(numbers, words)


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    users = draw(st.lists(user_ids, min_size=1, max_size=5, unique_by=plain_id))
    items = draw(st.lists(item_ids, min_size=2, max_size=8, unique_by=plain_id))
    n = draw(st.integers(6, 25))
    return [
        (draw(st.sampled_from(users)), draw(st.sampled_from(items)), START + draw(st.integers(0, 10**9)))
        for _ in range(n)
    ]


def plain_id(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


@dataclass(frozen=True)
class Form:
    """How a log is written."""

    separator: str
    header: bool
    quoting: int
    unit: str
    as_float: tuple[bool, ...]
    blanks: tuple[bool, ...]
    columns: tuple[str, ...]
    line_end: str
    bom: bool
    packed: bool


forms = st.builds(
    Form,
    separator=st.sampled_from([",", ";", "|", "\t", "::"]),
    header=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    unit=st.sampled_from(["s", "ms", "us", "ns", "iso", "zone", "compact", "float"]),
    as_float=st.lists(st.booleans(), min_size=7, max_size=7).map(tuple),
    blanks=st.lists(st.booleans(), min_size=5, max_size=5).map(tuple),
    columns=st.permutations(["user", "item", "time", "note"]).map(tuple),
    line_end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    packed=st.booleans(),
)


def written_time(time: int, unit: str, place: int) -> str:
    moment = datetime.fromtimestamp(time, timezone.utc)
    if unit in ("s", "ms", "us", "ns"):
        return str(time * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit])
    if unit == "float":
        return f"{time}.0"
    if unit == "compact":
        return moment.strftime("%Y%m%d%H%M%S")
    if unit == "zone" and place % 2:
        return pd.Timestamp(time, unit="s", tz="UTC").tz_convert("Etc/GMT-2").isoformat()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def written_id(text: str, place: int, form: Form) -> str:
    if text.isdigit() and str(int(text)) == text and form.as_float[place % len(form.as_float)]:
        text += ".0"
    return f" {text} " if form.blanks[place % len(form.blanks)] else text


def as_text(rows: list[Row], form: Form) -> str:
    out = io.StringIO()
    table = [
        {
            "user": written_id(user, place, form),
            "item": written_id(item, place + 3, form),
            "time": written_time(time, form.unit, place),
            "note": f'n{place}, "x"' if form.separator not in ("\t", "::") else "n",
        }
        for place, (user, item, time) in enumerate(rows)
    ]
    lines = [[row[name] for name in form.columns] for row in table]
    if form.header:
        lines.insert(0, list(form.columns))
    if bare(form):
        return "".join(form.separator.join(line) + form.line_end for line in lines)
    csv.writer(out, delimiter=form.separator, quoting=form.quoting, lineterminator=form.line_end).writerows(lines)
    return out.getvalue()


def write(folder: Path, text: str, form: Form) -> Path:
    content = ("\ufeff" if form.bom else "").encode() + text.encode()
    path = folder / f"toy.{'tsv' if form.separator == chr(9) else 'csv'}{'.gz' if form.packed else ''}"
    path.write_bytes(gzip.compress(content) if form.packed else content)
    return path


def read(path: Path, form: Form, **more: object) -> EventLog:
    if form.header:
        return read_events(path, reading=Reading(missing=("",), **more))  # type: ignore[arg-type]
    user, item, time = (str(form.columns.index(name) + 1) for name in ("user", "item", "time"))
    dialect = Dialect(no_header=True)
    return read_events(path, user, item, time, reading=Reading(dialect, missing=("",), **more))  # type: ignore[arg-type]


def events(log: EventLog) -> list[Row]:
    assert log.times is not None
    seconds = (log.times // log.ticks).astype(int).tolist()
    return list(zip(log.user_ids[log.users].tolist(), log.item_ids[log.items].tolist(), seconds, strict=True))


def expected(rows: list[Row]) -> list[Row]:
    return [(plain_id(user), plain_id(item), time) for user, item, time in rows]


def plainly_written(rows: list[Row], form: Form) -> bool:
    """Whether the form can hold the log: `::` and bare tabs have no quotes, so that an id can't hold them."""
    names = {name for row in rows for name in row[:2]}
    if form.separator == "::" and any("::" in name or ":" in (name[0], name[-1]) for name in names):
        return False
    # A cell that is in quotes as a whole loses them where there is no other way to write a name.
    return not (bare(form) and any(len(name) > 1 and name[0] == name[-1] == '"' for name in names))


def bare(form: Form) -> bool:
    """Whether cells are written as they are, without quotes."""
    return form.separator == "::" or (form.separator == "\t" and form.quoting == csv.QUOTE_MINIMAL)


def check_dialects(folder: Path, rows: list[Row], form: Form) -> None:
    if not plainly_written(rows, form):
        return
    path = write(folder, as_text(rows, form), form)
    log = read(path, form)
    assert events(log) == expected(rows)


@quick
@given(logs(), forms)
def test_any_dialect_gives_the_log(tmp_path_factory: pytest.TempPathFactory, rows: list[Row], form: Form) -> None:
    check_dialects(tmp_path_factory.mktemp("toy"), rows, form)


@pytest.mark.slow
@thorough
@given(logs(), forms)
def test_any_dialect_gives_the_log_in_many_cases(tmp_path_factory, rows: list[Row], form: Form) -> None:
    check_dialects(tmp_path_factory.mktemp("toy"), rows, form)


@pytest.mark.slow
@thorough
@given(st.lists(st.lists(st.text('a",\n7', max_size=5), min_size=3, max_size=3), min_size=1), st.integers(3, 20))
def test_quotes_mean_the_same_in_pieces_of_any_size(rows: list[list[str]], size: int) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    content = out.getvalue().encode()
    for text in (content, content.replace(b'"', b"", 1), content + b'"'):
        with pytest.MonkeyPatch.context() as patch:
            whole = look_at_quotes(text, ",")
            patch.setattr("bench.data.parsing.quotes._CHUNK", size)
            pieces = look_at_quotes(text, ",")
        assert pieces == (whole if whole.pair_up else replace(whole, spans_lines=pieces.spans_lines))


POISONS = [
    "1e300",
    "-5",
    "1511600000000",
    "soon",
    "99999999999999999999999",
    "inf",
    "4200000000",
    "99999999999",
    "-inf",
]
LATE_DATES = ["9999-12-31", "1969-07-20 00:00:00", "now", "2024-13-01", "1", "2150-01-01"]


@st.composite
def poisoned(draw: st.DrawFn) -> tuple[list[Row], str, str, int]:
    """At least 10 rows, the unit of their times, a cell that is no time, and the row where it goes."""
    rows = [row for _ in range(2) for row in draw(logs())]
    unit = draw(st.sampled_from(["s", "iso"]))
    cell = draw(st.sampled_from(POISONS if unit == "s" else LATE_DATES))
    return rows, unit, cell, draw(st.integers(0, len(rows) - 1))


def check_poison(folder: Path, rows: list[Row], unit: str, cell: str, place: int) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    frame["time"] = [written_time(time, unit, 0) for time in frame["time"]]
    frame.loc[place, "time"] = cell
    frame.to_csv(folder / "toy.csv", index=False)
    with pytest.raises(BenchError) as caught:
        read_events(folder / "toy.csv", reading=Reading(missing=("",)))
    assert f"toy.csv, row {place + 2}, column 'time'" in str(caught.value)
    assert "--bad-times drop" in str(caught.value)
    log = read_events(folder / "toy.csv", reading=Reading(missing=("",), drop_bad_times=True))
    assert events(log) == expected(rows[:place] + rows[place + 1 :])
    assert any(f"1 of {len(rows):,} rows" in note and f"row {place + 2}" in note for note in log.notes)


@quick
@given(poisoned())
def test_one_absurd_time_is_named_and_changes_no_other(tmp_path_factory, case: tuple[list[Row], str, str, int]) -> None:
    check_poison(tmp_path_factory.mktemp("toy"), *case)


@pytest.mark.slow
@thorough
@given(poisoned())
def test_one_absurd_time_is_named_in_many_cases(tmp_path_factory, case: tuple[list[Row], str, str, int]) -> None:
    check_poison(tmp_path_factory.mktemp("toy"), *case)


def check_mixing(folder: Path, rows: list[Row], order: list[int], named: bool) -> None:
    """The rows of users in another mixture, the same within each user, are the same data."""
    by_user = sorted(rows, key=lambda row: row[0])
    queues = {user: [row for row in by_user if row[0] == user] for user, _, _ in by_user}
    mixed = []
    for choice in order:
        open_users = sorted(user for user in queues if queues[user])
        if open_users:
            mixed.append(queues[open_users[choice % len(open_users)]].pop(0))
    mixed += [row for user in sorted(queues) for row in queues[user]]
    hashes = []
    for name, table in (("a", by_user), ("b", mixed)):
        path = folder / f"{name}.csv"
        frame = pd.DataFrame(table, columns=["user", "item", "time"])
        frame["step"] = frame.groupby("user").cumcount()
        frame.to_csv(path, index=False)
        how = {"order": "step"} if named else {"time": "none"}
        log = read_events(path, **how, reading=Reading(missing=("",)))  # type: ignore[arg-type]
        hashes.append(assemble("toy", log, None, "", "").content_hash)
    assert hashes[0] == hashes[1]


several = logs().filter(lambda rows: len({plain_id(row[1]) for row in rows}) > 1)


@quick
@given(several, st.lists(st.integers(0, 9), max_size=30), st.booleans())
def test_how_rows_of_users_are_mixed_means_nothing(tmp_path_factory, rows, order: list[int], named: bool) -> None:
    check_mixing(tmp_path_factory.mktemp("toy"), rows, order, named)


@pytest.mark.slow
@thorough
@given(several, st.lists(st.integers(0, 9), max_size=30), st.booleans())
def test_how_rows_are_mixed_means_nothing_in_many_cases(tmp_path_factory, rows, order: list[int], named: bool) -> None:
    check_mixing(tmp_path_factory.mktemp("toy"), rows, order, named)
