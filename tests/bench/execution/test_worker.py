import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.interactions import Histories
from bench.evaluation.evaluator import ID_COLUMNS, QUERY_COLUMNS
from bench.execution import heartbeat
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.recommender import FitContext, Recommendations
from bench.registry import model_class
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

pytestmark = pytest.mark.usefixtures("tiny_ml_100k", "outside_models")


def spec(model: str = "outside", seed: int = 0) -> RunSpec:
    suite = Suite(
        name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=(Entry(model=model),), seeds=(seed,)
    )
    return expand(suite)[0]


def run(results: Path, model: str = "outside", seed: int = 0) -> tuple[RunResult, str]:
    """The stored result of a run, and its log."""
    asked = spec(model, seed)
    execute(asked, results, "cpu", 1)
    stored = ResultStore(results).load(asked)
    assert stored is not None
    assert list((results / "runs" / ".progress").iterdir()) == []
    return stored, (ResultStore(results).folder(asked) / "log.txt").read_text()


def test_a_complete_run_leaves_all_that_a_report_needs(tmp_path: Path) -> None:
    result, _ = run(tmp_path)
    assert (result.status, result.reason, result.parameters) == ("complete", "", 7)
    assert result.queries is not None
    assert list(result.queries.columns) == [*QUERY_COLUMNS, *ID_COLUMNS, "item:genres", "item:year"]
    assert len(result.queries) == 30
    assert result.queries["item_gap"].eq(0).all()  # nobody saw a film twice
    assert result.queries["category_gap"].gt(0).sum() > 20  # of two genres, most histories have both
    assert result.milliseconds_per_user == pytest.approx(1000 * result.recommend_seconds / 30)
    assert [point["epoch"] for point in result.curve] == [0, 1, 2]
    assert (result.best_epoch, result.validation) == (0, result.curve[0]["validation"])
    assert result.diagnostics["fidelity"][0]["name"] == "drawing lots"
    assert result.diagnostics["role"] == "contestant"
    assert len(result.diagnostics["drawn"]) == 2
    assert {"python", "torch", "numpy", "pandas", "glass-bench", "commit"} <= set(result.environment)
    assert result.environment["dataset"].items() >= {"users": 30, "items": 40, "events": 360}.items()
    assert result.environment["dataset"]["seen_items"] == "exclude"
    assert result.environment["peak_memory_mib"] > 1


def test_answers_to_users_who_are_set_aside_show_nowhere_but_in_the_sealed_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_class("popularity")
    fit, recommend = model.fit, model.recommend

    def counting_fit(self: Any, train: Any, context: FitContext) -> None:
        fit(self, train, context)
        self.answered = context.diagnostics.setdefault("answered", [0])

    def counting_recommend(self: Any, histories: Any, k: int) -> Any:
        self.answered[0] += len(histories)
        return recommend(self, histories, k)

    monkeypatch.setattr(model, "fit", counting_fit)
    monkeypatch.setattr(model, "recommend", counting_recommend)
    aside = spec("popularity").model_copy(update={"dataset": DatasetSpec(name="ml-100k", confirm=0.4)})
    assert execute(aside, tmp_path, "cpu", 1).sealed is None
    result = ResultStore(tmp_path).load(aside)
    assert result is not None
    assert result.queries is not None
    sealed = ResultStore(tmp_path).break_seal(aside)
    assert len(sealed) + len(result.queries) == 30
    assert result.diagnostics["answered"] == [len(result.queries)]


def test_models_of_one_replicate_share_a_seed_and_those_of_another_have_another(tmp_path: Path) -> None:
    def shared(model: str, seed: int) -> int:
        return run(tmp_path, model, seed)[0].diagnostics["shared_seed"]

    assert shared("outside", 0) == shared("outside-raising", 0) != shared("outside", 1)


def test_the_same_spec_gives_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    def queries(folder: str, seed: int) -> bytes:
        run(tmp_path / folder, seed=seed)
        return (ResultStore(tmp_path / folder).folder(spec(seed=seed)) / "queries.parquet").read_bytes()

    first = queries("a", 0)
    np.random.default_rng(1).random()
    assert queries("b", 0) == first
    assert queries("c", 1) != first


def test_whatever_a_run_says_goes_into_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, log = run(tmp_path)
    for words in ("printed", "written by C", "INFO outside: logged", "UserWarning: warned"):
        assert words in log
    assert capfd.readouterr() == ("", "")
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_a_model_that_raises_becomes_a_failed_result_with_reason_curve_and_traceback(tmp_path: Path) -> None:
    result, log = run(tmp_path, "outside-raising")
    assert (result.status, result.queries) == ("failed", None)
    assert result.reason == "RuntimeError: the loss is not a number"
    assert len(result.curve) == 3
    assert result.environment["dataset"]["users"] == 30
    assert "Traceback (most recent call last)" in log
    assert "outside_models.py" in log


def test_a_model_that_answers_by_chance_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from outside_models import Outside  # on the path once the fixture has put it there

    settled, chance = Outside.recommend, np.random.default_rng(0)

    def drawn(self: Outside, histories: Histories, k: int) -> Recommendations:
        self._scores = chance.random(len(self._scores)).astype(np.float32)
        return settled(self, histories, k)

    monkeypatch.setattr(Outside, "recommend", drawn)
    result, _ = run(tmp_path)
    assert (result.status, result.queries) == ("failed", None)
    assert result.reason.startswith("ContractError: recommend answered 30 of the queries anew with other items: ")


def test_a_run_that_this_machine_can_not_make_is_skipped(tmp_path: Path) -> None:
    result, log = run(tmp_path, "outside-lacking")
    assert (result.status, result.reason) == ("skipped", "needs the package 'unobtainium'")
    assert "Traceback" not in log


def test_two_processes_that_want_the_same_run_make_it_once(tmp_path: Path) -> None:
    asked = spec()
    elsewhere = execute(asked, tmp_path / "elsewhere", "cpu", 1)
    elsewhere.parameters = 11
    begun, ended = threading.Event(), threading.Event()
    answers: list[RunResult] = []

    def make() -> None:
        with heartbeat.lock(tmp_path, asked):  # as another process holds it while it is at the run
            begun.set()
            ended.wait(30)
            ResultStore(tmp_path).save(elsewhere, "its log")

    def want() -> None:
        answers.append(execute(asked, tmp_path, "cpu", 1))

    other = threading.Thread(target=make)
    other.start()
    assert begun.wait(30)
    log = heartbeat.log_path(tmp_path, asked)
    log.parent.mkdir(parents=True)
    log.write_text("being written")
    heartbeat.clear_unless_running(tmp_path, asked)  # what a bench does that is told to stop while it waits
    assert log.read_text() == "being written"
    waiting = threading.Thread(target=want)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    assert answers == []
    ended.set()
    other.join(30)
    waiting.join(30)
    assert [answer.parameters for answer in answers] == [11], "not the 7 of a run of its own"
    assert (ResultStore(tmp_path).folder(asked) / "log.txt").read_text() == "its log"
    heartbeat.clear_unless_running(tmp_path, asked)
    assert not log.exists()


def test_a_run_that_another_process_did_not_complete_is_made(tmp_path: Path) -> None:
    asked = spec()
    holding = heartbeat.lock(tmp_path, asked)
    answers: list[RunResult] = []
    with holding:
        waiting = threading.Thread(target=lambda: answers.append(execute(asked, tmp_path, "cpu", 1)))
        waiting.start()
        waiting.join(0.3)
        ResultStore(tmp_path).save(RunResult(spec=asked, status="failed", reason="killed"), "")
    waiting.join(60)
    assert [(answer.status, answer.parameters) for answer in answers] == [("complete", 7)]


def test_an_import_that_fails_for_want_of_a_package_skips_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import outside_models

    monkeypatch.setattr(outside_models.Outside, "fit", lambda *_: __import__("unobtainium.core"))
    result, _ = run(tmp_path)
    assert (result.status, "needs the package 'unobtainium'" in result.reason) == ("skipped", True)
