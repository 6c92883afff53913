"""Files that earlier versions wrote are read as frames of today's columns; the files here are cut from real ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.analysis.columns import (
    DECODING,
    LEADERBOARD,
    METRICS,
    PAIRS,
    PUBLISHED,
    SCHEMA,
    TESTS,
    TRIALS,
    TRIALS_SCHEMA,
)
from bench.analysis.dataset_tables import write_frames
from bench.analysis.old_files import read_frame
from bench.analysis.runs import SuiteRuns
from bench.errors import BenchError

OLD = Path(__file__).with_name("old_csv")
DECLARED = {frame.file: frame for frame in (METRICS, LEADERBOARD, PAIRS, TESTS, DECODING, PUBLISHED)}


@pytest.mark.parametrize("path", sorted(OLD.rglob("*.csv")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_old_file_has_todays_columns_and_its_own_values(path: Path) -> None:
    declared, written = DECLARED[path.name], pd.read_csv(path)
    frame = read_frame(path, declared)
    assert list(frame.columns) == declared.names
    assert set(frame["schema"]) == {int(path.parent.name.removeprefix("schema-"))}
    if "row" in frame:
        assert frame["row"].tolist() == written["model"].tolist()
        assert frame[["model", "role"]].isna().all(axis=None), "an old file does not tell them"
    renamed = {"schema", "model", "family"}
    for column in set(written.columns) - renamed:
        pd.testing.assert_series_equal(frame[column], written[column], check_dtype=False)


def test_the_family_of_an_old_test_was_its_partition() -> None:
    old, newer = (read_frame(OLD / name / "tests.csv", TESTS) for name in ("schema-3", "schema-4"))
    assert old["partition"].tolist() == ["overall", "popularity", "popularity"]
    assert old["family"].isna().all()
    assert newer["partition"].tolist() == ["overall"] * 3
    assert newer["family"].notna().all()


def test_todays_files_are_read_back_as_they_were_made(full_runs: SuiteRuns, tmp_path: Path) -> None:
    frames = write_frames(full_runs, tmp_path)["ml-100k"]
    for declared in (METRICS, LEADERBOARD, PAIRS, TESTS, PUBLISHED):
        frame = read_frame(tmp_path / "made-up" / "ml-100k" / declared.file, declared)
        assert set(frame["schema"]) == {SCHEMA}
        made = getattr(frames, declared.name).replace("", None)
        pd.testing.assert_frame_equal(frame, made, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema,row,metric\n6,a,b\n", "has schema 6, and this program knows 1 to 5: use the version that wrote it"),
        ("schema,row,metric\n5,a,b\n4,a,b\n", "has schema 4, 5"),
        ("a,b\n1,2\n", "is no metrics.csv of this program: it has no column 'row'"),
        ("", "unreadable file"),
    ],
)
def test_another_file_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(BenchError, match=words) as caught:
        read_frame(path, METRICS)
    assert "\n" not in str(caught.value)


def test_trials_have_a_version_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    shared = "trial,state,validation_ndcg@10,validations,seconds,seconds_per_trial,values,reason\n"
    path.write_text(f"dataset,model,{shared}ml-100k,my row,0,complete,0.07,3,12.5,,{{}},\n")
    old = read_frame(path, TRIALS)
    assert old[["schema", "row", "trial"]].values.tolist() == [[1, "my row", 0]]
    assert old[["model", "role"]].isna().all(axis=None)
    path.write_text(
        f"schema,dataset,row,model,role,{shared}"
        f"{TRIALS_SCHEMA},ml-100k,my row,glass,contestant,0,complete,0.07,3,12.5,,{{}},\n"
    )
    new = read_frame(path, TRIALS)
    assert new[["row", "model", "role"]].values.tolist() == [["my row", "glass", "contestant"]]
    path.write_text(path.read_text().replace(f"\n{TRIALS_SCHEMA},", f"\n{TRIALS_SCHEMA + 1},"))
    with pytest.raises(BenchError, match=f"has schema 3, and this program knows 1 to {TRIALS_SCHEMA}"):
        read_frame(path, TRIALS)
