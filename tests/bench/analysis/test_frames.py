"""A frame is what is declared of it, and tells whose numbers it holds: the row, the model behind it, its role."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from enriched import enriched
from made_up import make_result, make_suite, plan
from traces import PAPER, with_trace

from bench.analysis import columns
from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.declared import FrameColumns, number, text, whole
from bench.analysis.frames import DatasetFrames
from bench.analysis.report_columns import FRAMES, documentation
from bench.analysis.runs import SuiteRuns
from bench.spec import Comparison, Entry, RunResult, RunSpec, Suite

PAIR = FrameColumns("pair", "Two columns.", (text("name", "?"), whole("count", "?"), number("share", "?")))
DECLARED = {declared.name: declared for declared in FRAMES}
NOT_OF_RESULTS = {"trials", "beside", "lengths", "item_counts", "over_time", "reach"}
MAY_BE_EMPTY = {"notes", "published", "confirmed", "looks", "effects"}
"""Of the made-up suite, which sets nobody aside and names no references."""


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", 1.5, 0.5)], "column 'count' is no whole number"),
        ([("a", 1, "much")], "column 'share' is no number"),
        ([(1, 1, 0.5)], "column 'name' is no text"),
        ([("a", 1, 0.5), (2, 1, 0.5)], "column 'name' is no text"),
    ],
)
def test_a_frame_of_other_kinds_is_refused(rows: list[tuple[object, ...]], words: str) -> None:
    with pytest.raises(ValueError, match=f"frame 'pair': {words}"):
        PAIR.frame(rows)


def test_a_frame_of_other_columns_is_refused() -> None:
    made = PAIR.frame([("a", 1, 0.5)])
    with pytest.raises(ValueError, match=r"frame 'pair': other columns than declared: \['odd'\]"):
        PAIR.checked(made.assign(odd=1))
    with pytest.raises(ValueError, match="their order"):
        PAIR.checked(made[["count", "name", "share"]])


def test_what_is_blank_keeps_its_kind() -> None:
    made = PAIR.frame([(None, 1, None), ("", 2, None)])
    assert [made[name].dtype.kind for name in ("count", "share")] == ["i", "f"]
    assert [PAIR.frame([])[name].dtype.kind for name in ("count", "share")] == ["i", "f"]


@pytest.fixture(scope="module")
def everything() -> SuiteRuns:
    """Two rows of one model, a failed and a pending row, traces, comparisons and published figures of decoding."""
    small = make_suite(seeds=(0, 1))
    models = (*small.models, Entry(model="tiger", label="tiger-wide", config={"dim": 256}))
    asked = (Comparison(title="Width", question="?", rows=("tiger", "tiger-wide", "hstu"), against="tiger"),)
    suite = small.model_copy(update={"models": models, "paper": PAPER, "comparisons": asked})
    planned = plan(suite)
    results = [with_trace(make_result(spec)) for spec in planned if spec.label not in ("hstu", "sim")]
    failed = [RunResult(spec=spec, status="failed", reason="out of memory") for spec in planned if spec.label == "sim"]
    whole = enriched(SuiteRuns.of(suite, planned, results), slices=("genre",))
    return SuiteRuns.of(whole.suite, planned, [*whole.results, *failed])


@pytest.fixture(scope="module")
def frames(everything: SuiteRuns) -> DatasetFrames:
    return frames_of(everything)


def frames_by_name(frames: DatasetFrames) -> dict[str, pd.DataFrame]:
    fields = {field.name: getattr(frames, field.name) for field in dataclasses.fields(frames)}
    return {name: value for name, value in fields.items() if isinstance(value, pd.DataFrame)}


def test_every_frame_has_the_declared_columns_with_and_without_results(
    frames: DatasetFrames, suite: Suite, planned: list[RunSpec]
) -> None:
    empty = frames_of(SuiteRuns.of(suite, planned, []))
    for made in (frames, empty):
        assert set(frames_by_name(made)) == set(DECLARED) - NOT_OF_RESULTS
        for name, frame in frames_by_name(made).items():
            DECLARED[name].checked(frame)
    assert all(len(frame) for name, frame in frames_by_name(frames).items() if name not in MAY_BE_EMPTY)


def test_every_column_is_explained() -> None:
    text = documentation()
    for declared in FRAMES:
        assert len(set(declared.names)) == len(declared.names)
        assert f"### `{declared.file or declared.name}`" in text
        assert all(f"| `{column.name}` | {column.kind} | {column.meaning} |" in text for column in declared.columns)


def test_row_model_and_role_stand_together_in_every_frame(frames: DatasetFrames) -> None:
    names = ["row", "model", "role"]
    for declared in FRAMES:
        if "row" in declared.names and declared.name != "beside":
            start = declared.names.index("row")
            assert declared.names[start : start + 3] == names
        if declared.file in ("pairs.csv", "tests.csv"):
            for side in ("first", "second"):
                start = declared.names.index(side)
                assert declared.names[start : start + 3] == [side, f"{side}_model", f"{side}_role"]


def test_the_model_and_the_role_are_those_behind_the_row(frames: DatasetFrames) -> None:
    expected = {
        "tiger-wide": ("tiger", "baseline"),
        "glass": ("glass", "contestant"),
        "popularity": ("popularity", "reference"),
        "hstu": ("hstu", ""),  # pending: nobody has told yet
        "sim": ("sim", ""),  # failed before its model was there
    }
    for name in ("metrics", "leaderboard", "runs"):
        frame = frames_by_name(frames)[name]
        for row, identity in expected.items():
            assert set(frame.loc[frame["row"] == row, ["model", "role"]].itertuples(index=False, name=None)) == {
                identity
            }
    pair = frames.pairs.query("first == 'tiger-wide' or second == 'tiger-wide'").iloc[0]
    side = "first" if pair["first"] == "tiger-wide" else "second"
    assert (pair[f"{side}_model"], pair[f"{side}_role"]) == expected["tiger-wide"]


def test_the_files_hold_the_frames(everything: SuiteRuns, frames: DatasetFrames, tmp_path: Path) -> None:
    write_frames(everything, tmp_path)
    folder = tmp_path / "made-up" / "ml-100k"
    for declared in (columns.METRICS, columns.PAIRS, columns.TESTS, columns.DECODING, columns.PUBLISHED):
        read = pd.read_csv(folder / declared.file, float_precision="round_trip")
        made = frames_by_name(frames)[declared.name].replace("", np.nan)
        pd.testing.assert_frame_equal(read, made, check_dtype=False)


def test_the_parts_of_the_frame_are_means_over_seeds_of_those_in_metrics(frames: DatasetFrames) -> None:
    part = frames.slices.query("row == 'glass' and family == 'reach' and part == 'far'").iloc[0]
    values = frames.metrics.query("row == 'glass' and level == 'item' and slice == 'reach:far'")
    seeds = values.loc[values["metric"] == "ndcg@10", "value"]
    assert (part["mean"], part["std"]) == pytest.approx((seeds.mean(), seeds.std(ddof=1)))
    assert part["queries"] == values.loc[values["metric"] == "queries", "value"].iloc[0]
    families = set(frames.slices["family"])
    assert families == {
        *("overall", "head-tail", "popularity", "cold", "history", "history-quarter", "reach", "category-reach"),
        *("repetition", "item.genre"),
    }


def test_a_comparison_holds_its_pending_rows_and_the_tests_of_the_others(frames: DatasetFrames) -> None:
    rows = frames.comparisons.set_index("row")
    assert rows["complete"].to_dict() == {"tiger": 2, "tiger-wide": 2, "hstu": 0}
    test = frames.tests.query("kind == 'comparison'").iloc[0]
    told = rows.loc["tiger-wide", ["difference", "p_value", "p_holm", "n_queries"]]
    assert told.tolist() == test[["difference", "p_value", "p_holm", "n_queries"]].tolist()
    assert rows.loc[["tiger", "hstu"], "difference"].isna().all()


def test_curves_and_machines_are_those_of_the_runs(everything: SuiteRuns, frames: DatasetFrames) -> None:
    (result, *_) = everything.of_row("glass")
    curve = frames.curves.query("row == 'glass' and seed == 0")
    assert curve["validation"].tolist() == [point["validation"] for point in result.curve]
    run = frames.runs.query("row == 'glass' and seed == 0").iloc[0]
    assert (run["commit"], run["status"], run["device_name"]) == ("7b24043", "complete", "Example CPU")
    assert frames.runs.query("row == 'sim'")["reason"].tolist() == ["out of memory"] * 2
    sizes = frames.card.set_index("name")["value"]
    assert sizes[["users", "items", "test queries"]].tolist() == [943, 1682, 943]


def test_a_row_that_failed_after_its_model_was_known_has_its_role(suite: Suite, planned: list[RunSpec]) -> None:
    spec = next(spec for spec in planned if spec.label == "popularity")
    known = RunResult(spec=spec, status="failed", reason="x", diagnostics={"role": "reference"})
    assert SuiteRuns.of(suite, [spec], [known]).identities()["popularity"].role == "reference"
