from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.execution import store as storing
from bench.execution.store import ResultStore, UnreadableResultError
from bench.spec import DatasetSpec, RunResult, RunSpec

SPEC = RunSpec(
    dataset=DatasetSpec(name="tiny"), data_hash="d", model="m", revision=1, config={"a": 1}, seed=0, label="row"
)


def result(**changes: object) -> RunResult:
    content = {
        "status": "complete",
        "fit_seconds": 1.25,
        "diagnostics": {"array": np.arange(2), "scalar": np.float32(0.5)},
        "queries": pd.DataFrame({"user": np.arange(3, dtype=np.int32), "item_rank": np.array([1, 0, 2], np.int16)}),
        **changes,
    }
    return RunResult(spec=SPEC, **content)  # type: ignore[arg-type]


def test_a_result_survives_the_disk(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    assert store.load(SPEC) is None
    store.save(result(), "said\n")
    relabelled = SPEC.model_copy(update={"label": "another row"})
    loaded = store.load(relabelled)
    assert loaded is not None
    assert (loaded.spec, loaded.status, loaded.fit_seconds) == (relabelled, "complete", 1.25)
    assert loaded.diagnostics == {"array": [0, 1], "scalar": 0.5}
    pd.testing.assert_frame_equal(loaded.queries, result().queries)
    assert (store.folder(SPEC) / "log.txt").read_text() == "said\n"


def test_a_decoding_table_is_stored_where_there_is_one(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    decoding = pd.DataFrame({"path_rank_1": np.arange(3, dtype=np.int32), "in_beam_1": [True, False, True]})
    store.save(result(decoding=decoding))
    loaded = store.load(SPEC)
    assert loaded is not None
    pd.testing.assert_frame_equal(loaded.decoding, decoding)
    (store.folder(SPEC) / "decoding.parquet").unlink()
    with pytest.raises(UnreadableResultError, match=r"decoding\.parquet"):
        store.load(SPEC)  # the result names it: a run that had a trace has not become one without


def test_folders_are_readable() -> None:
    assert ResultStore(Path("results")).folder(SPEC) == Path(f"results/runs/tiny/m/s0-{SPEC.key}")


def test_a_new_result_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(result())
    store.save(result(status="failed", reason="broke", queries=None))
    loaded = store.load(SPEC)
    assert loaded is not None
    assert (loaded.status, loaded.reason, loaded.queries) == ("failed", "broke", None)
    assert [path.name for path in store.folder(SPEC).parent.iterdir()] == [store.folder(SPEC).name]


def test_a_crash_while_writing_keeps_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ResultStore(tmp_path)
    store.save(result())

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(storing, "_write_table", crash)
    with pytest.raises(OSError, match="disk full"):
        store.save(result(fit_seconds=99.0))
    loaded = store.load(SPEC)
    assert loaded is not None
    assert loaded.fit_seconds == 1.25
    assert len(list(store.folder(SPEC).parent.iterdir())) == 1


def test_a_damaged_decoding_table_is_named(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(result(decoding=pd.DataFrame({"path_rank_1": [0, 1, 2]})))
    (store.folder(SPEC) / "decoding.parquet").write_bytes(b"\x00\xff" * 50)
    with pytest.raises(UnreadableResultError, match=r"decoding\.parquet"):
        store.load(SPEC)


@pytest.mark.parametrize("name", ["result.json", "queries.parquet"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    store = ResultStore(tmp_path)
    store.save(result())
    path = store.folder(SPEC) / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"\x00\xff" * 50)
    with pytest.raises(UnreadableResultError, match=name) as caught:
        store.load(SPEC)
    assert "\n" not in str(caught.value)


def test_results_of_other_versions_and_other_runs_are_not_taken(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(result())
    path = store.folder(SPEC) / "result.json"
    original = path.read_text()
    path.write_text(original.replace('"schema": 2', '"schema": 0'))
    with pytest.raises(UnreadableResultError, match="another version"):
        store.load(SPEC)
    path.write_text(original.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UnreadableResultError, match="another run"):
        store.load(SPEC)


def test_the_same_queries_are_the_same_bytes(tmp_path: Path) -> None:
    stored = []
    for folder in ("a", "b"):
        store = ResultStore(tmp_path / folder)
        store.save(result())
        stored.append((store.folder(SPEC) / "queries.parquet").read_bytes())
    assert stored[0] == stored[1]
