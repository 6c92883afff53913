"""What was stored is read as it was written, or refused in one line: flipped bits, cut files, swaps, odd values."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.evaluation.evaluator import QUERY_COLUMNS
from bench.execution import store as storing
from bench.execution.content import conform
from bench.execution.plain import DEEPEST, MOST_VALUES, plain
from bench.execution.store import ResultStore, UnreadableResultError
from bench.spec import DatasetSpec, RunResult, RunSpec

FILES = ("result.json", "queries.parquet", "decoding.parquet", "log.txt")
N = 40


def spec(label: str = "row", seed: int = 0, dataset: str = "tiny") -> RunSpec:
    return RunSpec(
        dataset=DatasetSpec(name=dataset), data_hash="d", model=label, revision=1, config={}, seed=seed, label=label
    )


def queries(seed: int = 0) -> pd.DataFrame:
    """Every column of a table of queries, and one of the item table."""
    draw = np.random.default_rng(seed)
    columns = {
        name: draw.integers(0, 9, N).astype(meaning.partition(",")[0]) for name, meaning in QUERY_COLUMNS.items()
    }
    columns |= {"target_quantile": draw.random(N).astype(np.float32)}
    columns |= {"list_popularity": draw.random(N).astype(np.float32)}
    columns |= {"transition": draw.integers(0, 4, N).astype(np.int8), "sid_group": columns["sid_group"] + 1}
    columns |= {"tie_first": columns["item_rank"], "tie_last": columns["item_rank"]}
    return pd.DataFrame(columns).assign(**{"item:genre": pd.Categorical(draw.choice(["a", "b"], N))})


def decoding(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for level in (1, 2):
        for name in ("path_rank", "forced_rank", "after_wrong"):
            columns[f"{name}_{level}"] = draw.integers(0, 30, N).astype(np.int32)
        for name in ("in_beam", "best_prefix"):
            columns[f"{name}_{level}"] = draw.random(N) < 0.5
    columns |= {"retrieved": draw.integers(0, 9, N).astype(np.int32), "gate": draw.random(N).astype(np.float32)}
    del columns["after_wrong_1"]
    return pd.DataFrame(columns)


def complete(run: RunSpec, seed: int = 0) -> RunResult:
    return RunResult(
        spec=run,
        status="complete",
        fit_seconds=12.5,
        recommend_seconds=1.25,
        milliseconds_per_user=31.25,
        parameters=17,
        best_epoch=2.0,
        validation=0.25,
        curve=[{"epoch": 1.0, "step": 10, "loss": 0.5, "validation": 0.25, "seconds": 6.0}],
        diagnostics={"sid": {"collision_rate": 0.125}, "note": "x"},
        environment={"python": "3.11", "threads": 1, "dataset": {"items": 9, "users": N}, "excluded": {"few": 2}},
        queries=queries(seed),
        decoding=decoding(seed),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    """Three stored runs: of two seeds, and of another data set."""
    made = ResultStore(tmp_path_factory.mktemp("results"))
    for number, run in enumerate((spec(), spec(seed=1), spec(dataset="other"))):
        made.save(complete(run, number), f"log of {number}\n" * 20)
    return made


def same(first: RunResult, second: RunResult) -> bool:
    tables = all(getattr(first, name).equals(getattr(second, name)) for name in ("queries", "decoding"))
    return tables and all(
        getattr(first, name) == getattr(second, name) for name in vars(first) if name not in ("queries", "decoding")
    )


def read(store: ResultStore, run: RunSpec | None = None) -> tuple[RunResult | None, str]:
    """A stored result, or the one line that says why it is none."""
    result, complaint = None, ""
    try:
        result = store.load(run or spec())
    except UnreadableResultError as error:
        complaint = str(error)
    assert "\n" not in complaint
    return result, complaint


def refused_or_same(store: ResultStore, folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    """Damages a copy of a stored file in place, reads the run, and puts the file back."""
    path = folder / name
    original = path.read_bytes()
    before = store.load(spec())
    assert before is not None
    try:
        path.write_bytes(damage(original))
        after, complaint = read(store)
        assert (after is None) == (str(folder) in complaint)
        assert after is None or same(before, after)
    finally:
        path.write_bytes(original)


def flipped(held: bytes, bit: int) -> bytes:
    changed = bytearray(held)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_another_run_s_table_is_refused(store: ResultStore) -> None:
    folder = store.folder(spec())
    for other in (spec(seed=1), spec(dataset="other")):
        for name in FILES:
            original = (folder / name).read_bytes()
            (folder / name).write_bytes((store.folder(other) / name).read_bytes())
            result, complaint = read(store)
            (folder / name).write_bytes(original)
            assert result is None
            assert f"{folder / name}' (" in complaint
    shutil.copytree(folder, store.folder(spec(seed=2)))
    assert "belongs to another run" in read(store, spec(seed=2))[1]


def test_changed_files_are_refused_or_the_same(store: ResultStore) -> None:
    draw = random.Random(0)
    folder = store.folder(spec())
    for name in FILES:
        size = (folder / name).stat().st_size
        for bit in draw.sample(range(8 * size), 15):
            refused_or_same(store, folder, name, lambda held, bit=bit: flipped(held, bit))  # type: ignore[misc]
        refused_or_same(store, folder, name, lambda held: held[: len(held) // 2])
        refused_or_same(store, folder, name, lambda held: held + b" ")


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=600)
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), damage=st.sampled_from("fftad"))
def test_changed_files_are_refused_or_the_same_wherever_they_changed(
    store: ResultStore, name: str, place: float, damage: str
) -> None:
    def change(held: bytes) -> bytes:
        at = int(place * len(held))
        if damage == "f":
            return flipped(held, int(place * 8 * len(held)))
        if damage == "t":
            return held[:at]
        return held[:at] + held[at : at + 7] + held[at:] if damage == "a" else held[:at] + held[at + 1 :]

    refused_or_same(store, store.folder(spec()), name, change)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested lists and dicts."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, entry in inside for deeper in paths(entry, (*path, key)))]


ODD = (None, True, -1, 0, 3, 0.5, -2.5, float("nan"), float("inf"), "", "0.5", [], {}, [1], {"a": 1}, 10**400, "\ud800")


def mutated(content: Any, path: tuple[Any, ...], value: Any, drop: bool) -> Any:
    if not path:
        return value
    changed = json.loads(json.dumps(content))
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    if drop:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return changed


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=500)
@given(data=st.data(), resealed=st.booleans(), value=st.sampled_from(ODD), drop=st.booleans())
def test_a_mutated_result_changes_no_number(
    store: ResultStore, data: st.DataObject, resealed: bool, value: Any, drop: bool
) -> None:
    """Also where somebody has written a digest that fits: values of the wrong kind are then refused by their kind."""
    path = store.folder(spec()) / "result.json"
    content = json.loads(path.read_text())
    place = data.draw(st.sampled_from([place for place in paths(content) if place]))
    changed = mutated(content, place, value, drop)

    def rewrite(_: bytes) -> bytes:
        if resealed and "digest" in changed and place != ("digest",):
            del changed["digest"]
            changed["digest"] = storing._digest(changed)
        return json.dumps(changed).encode()

    if not resealed:
        refused_or_same(store, path.parent, "result.json", rewrite)
        return
    original = path.read_bytes()
    try:
        path.write_bytes(rewrite(original))
        loaded, _ = read(store)
        if loaded is not None:
            again = RunResult(**vars(loaded))
            conform(again)
            assert again.status == loaded.status, "what can be read can be kept"
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("fit_seconds", "12.5", "fit_seconds: "),
        ("fit_seconds", float("nan"), "fit_seconds: "),
        ("parameters", 1.5, "parameters: "),
        ("parameters", -1, "parameters: "),
        ("validation", 25.0, "validation: "),
        ("curve", [{"epoch": 1.0}], r"curve\.0\.step: "),
        ("curve", {}, "curve: "),
        ("diagnostics", [1], "diagnostics: "),
        ("environment", {"dataset": {"items": "9"}}, r"environment\.dataset\.items: "),
        ("environment", {"excluded": {"few": None}}, r"environment\.excluded\.few: "),
        ("status", "finished", "status: "),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path: Path, field: str, value: Any, words: str) -> None:
    result = complete(spec())
    setattr(result, field, value)
    store = ResultStore(tmp_path)
    store.save(result)
    with pytest.raises(UnreadableResultError, match=words):
        store.load(spec())
    if field not in ("status", "diagnostics"):
        conform(result)
        assert (result.status, "ContractError" in result.reason) == ("failed", True)
        store.save(result)
        loaded = store.load(spec())
        assert loaded is not None
        assert loaded.reason == result.reason


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("queries", lambda t: t.assign(item_rank=t["item_rank"] - 1), "column 'item_rank' holds -1 to"),
        ("queries", lambda t: t.assign(item_rank=21), "item_rank"),
        ("queries", lambda t: t.assign(target=t["target"] + 1), "column 'target' holds item 9 of 9"),
        ("queries", lambda t: t.assign(user=t["user"] + 0.5), "column 'user' is of type float64, not int32"),
        ("queries", lambda t: t.assign(target_quantile=np.float32(np.nan)), "target_quantile"),
        ("queries", lambda t: t.assign(surprise=1), "nobody declared a column 'surprise'"),
        ("queries", lambda t: t.drop(columns="item_rank"), "there is no column 'item_rank'"),
        ("queries", lambda t: t.assign(tie_last=np.int16(0)), "outside the tie"),
        ("queries", lambda t: t.iloc[:-1], "decoding has 40 rows for 39 queries"),
        ("decoding", lambda t: t.assign(in_beam_1=1), "column 'in_beam_1' is of type int64, not bool"),
        ("decoding", lambda t: t.assign(gate=np.float32(2)), "column 'gate' holds 2 to 2 where 0 to 1 is possible"),
        ("decoding", lambda t: t.assign(path_rank_1=-5), "path_rank_1"),
    ],
)
def test_a_table_that_is_not_as_declared_is_named(tmp_path: Path, table: str, change: Any, words: str) -> None:
    result = complete(spec())
    setattr(result, table, change(getattr(result, table)))
    store = ResultStore(tmp_path)
    store.save(result)
    with pytest.raises(UnreadableResultError, match=words):
        store.load(spec())
    conform(result)
    assert (result.status, words.split()[0] in result.reason) == ("failed", True)


def test_a_report_names_the_column_that_it_lacks(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    for table, column in (("queries", "sid_rank"), ("decoding", "forced_rank_2")):
        result = complete(spec())
        setattr(result, table, getattr(result, table).drop(columns=column))
        store.save(result)
        assert store.load(spec()) is not None, "other readers need less"
        with pytest.raises(UnreadableResultError, match=f"{table}: there is no column '{column}'"):
            store.load(spec(), for_report=True)


class _Angry:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({3, 1, 2}, [1, 2, 3]),
        ({1: "a", None: {"b": (1, 2)}}, {"1": "a", "None": {"b": [1, 2]}}),
        (np.arange(3), [0, 1, 2]),
        (np.array([1, "x", None], dtype=object), [1, "x", None]),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (np.longdouble(0.5), 0.5),
        (2j, "2j"),
        (b"ab", "b'ab'"),
        ("\ud800x", "?x"),
        (_Angry(), "left out: RuntimeError"),
        (_endless(), f"left out: nested more than {DEEPEST} deep"),
        (range(3), "range(0, 3)"),
        (np.zeros(MOST_VALUES + 1), f"left out: more than {MOST_VALUES:,} values"),
        ("x" * 2_000_000, "left out: a text of 2,000,000 characters"),
        ([1 << 100_000], "left out: a number of 100,001 bits"),
        (pd.Series([1, 2]), [1, 2]),
    ],
)
def test_whatever_a_model_notes_is_kept_or_told(tmp_path: Path, value: Any, kept: Any) -> None:
    assert plain(value) == kept
    result = complete(spec())
    result.diagnostics = {"odd": value, ("a", "key"): 1, "good": 2}  # type: ignore[dict-item]
    conform(result)
    assert result.status == "complete"
    store = ResultStore(tmp_path)
    store.save(result)
    loaded = store.load(spec())
    assert loaded is not None
    assert loaded.diagnostics == {"odd": kept, "('a', 'key')": 1, "good": 2}
    assert same(loaded, result)


def test_numbers_that_are_not_finite_survive_in_diagnostics_and_curves(tmp_path: Path) -> None:
    result = complete(spec())
    result.curve[0]["loss"] = np.float32("nan")
    result.diagnostics = {"infinite": -np.inf}
    conform(result)
    store = ResultStore(tmp_path)
    store.save(result)
    loaded = store.load(spec())
    assert loaded is not None
    assert (np.isnan(loaded.curve[0]["loss"]), loaded.diagnostics) == (True, {"infinite": -np.inf})
