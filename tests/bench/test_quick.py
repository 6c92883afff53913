"""A first answer within minutes: what is left out for it, and that it never passes for a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli import main as cli
from bench.execution.costs import Costs, Estimate, Means
from bench.job import goes_on
from bench.plan import Plan, expand
from bench.quick import SECONDS, quickened, with_few_epochs
from bench.registry import BUILT_IN, model_class
from bench.spec import DatasetSpec, Entry, RunSpec, Suite
from bench.suite_files import load_suite


@dataclass
class Priced:
    """Costs by the number of users and epochs, in place of those of this machine."""

    users: int
    seconds: float = 0.01
    dear: dict[str, float] = field(default_factory=dict)

    def sizes(self, dataset: DatasetSpec) -> tuple[int, int, int]:
        users = min(self.users, dataset.sample_users or self.users)
        return users, 100, 50 * users

    def of(self, spec: RunSpec, users: int | None = None) -> Estimate:
        there = min(self.users, users or self.users)
        epochs = spec.config.get("training", {}).get("epochs", 0)
        seconds = there * epochs * self.seconds * self.dear.get(spec.label, 1.0)
        return Estimate(seconds, 2.0, "model", 500.0, epochs > 0)


def plan(*rows: str, datasets: int = 1, **of_suite: object) -> Plan:
    data = tuple(DatasetSpec(name=f"data-{number}") for number in range(datasets))
    suite = Suite(
        name="mine",
        description="Rows.",
        datasets=data,
        models=tuple(Entry(model=row) for row in rows),
        seeds=(4, 5),
        **of_suite,
    )
    return Plan(suite=suite, runs=tuple(expanded(suite)), command="")


def expanded(suite: Suite) -> list[RunSpec]:
    """As `expand` does, of data that nobody has."""
    return [
        RunSpec(
            dataset=dataset,
            data_hash=dataset.label,
            model=entry.model,
            revision=1,
            config={} if entry.model == "popularity" else {"training": {"epochs": 40, "warmup_steps": 100}},
            seed=seed,
            label=entry.row,
        )
        for seed in suite.seeds
        for dataset in suite.datasets
        for entry in suite.models
    ]


def shortened(whole: Plan, costs: Priced) -> Plan:
    return quickened(whole, expanded, costs, jobs=2)  # type: ignore[arg-type]


def epochs(short: Plan) -> set[int]:
    return {run.config["training"]["epochs"] for run in short.runs if run.config}


def test_small_data_stay_whole_with_as_many_epochs_as_there_is_time_for() -> None:
    short = shortened(plan("popularity", "tiger"), Priced(users=50))
    assert [(run.label, run.seed) for run in short.runs] == [("popularity", 4), ("tiger", 4)]
    assert short.suite.datasets == (DatasetSpec(name="data-0"),)
    assert epochs(short) == {12}
    assert epochs(shortened(plan("popularity", "tiger"), Priced(users=1500))) == {5}


def test_large_data_are_sampled() -> None:
    short = shortened(plan("popularity", "tiger", "glass"), Priced(users=10**5))
    (dataset,) = short.suite.datasets
    assert dataset.sample_users == 2000
    assert {run.dataset.label for run in short.runs} == {"data-0+2000users"}
    assert "2,000 of 100,000 users of data-0" in short.suite.description


def test_a_sample_of_the_user_s_own_stays() -> None:
    whole = plan("tiger")
    datasets = (DatasetSpec(name="data-0", sample_users=600),)
    suite = whole.suite.model_copy(update={"datasets": datasets})
    short = shortened(Plan(suite=suite, runs=tuple(expanded(suite)), command=""), Priced(users=10**6))
    assert short.suite.datasets == datasets


def test_data_sets_go_before_rows_and_the_dearest_row_goes_first() -> None:
    costs = Priced(users=10**6, dear={"sim": 200.0})
    rows = ("popularity", "sim", "hstu", "tiger", "glass")
    short = shortened(plan(*rows, datasets=3, questions=(("glass", "tiger"),)), costs)
    assert [entry.row for entry in short.suite.models] == ["popularity", "hstu", "tiger", "glass"]
    assert len(short.suite.datasets) == 1
    assert "without sim; without data-1, data-2" in short.suite.description
    asked = shortened(plan(*rows, questions=(("sim", "tiger"),)), costs)
    assert {entry.row for entry in asked.suite.models} >= {"sim", "tiger"}, "what is asked for goes last"


def test_it_has_a_name_of_its_own_and_says_what_it_is() -> None:
    short = shortened(plan("tiger"), Priced(users=50))
    assert short.suite.name == "mine-quick"
    assert short.suite.description == "quick first answer, not a result (at most 12 epochs; one seed). Rows."
    assert "begin_within" not in short.model_dump_json()


def test_no_run_is_begun_late() -> None:
    whole = plan("tiger")
    assert goes_on(whole)()
    assert goes_on(whole.model_copy(update={"begin_within": 60}))()
    assert not goes_on(whole.model_copy(update={"begin_within": -1}))()
    begin = shortened(whole, Priced(users=50)).begin_within
    assert begin is not None
    assert 60 < begin < SECONDS - 30


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_model_that_trains_is_shortened_by_the_same_keys(name: str) -> None:
    model = model_class(name)
    whole = model.Config().model_dump(mode="json")
    spec = RunSpec(
        dataset=DatasetSpec(name="d"), data_hash="", model=name, revision=1, config=whole, seed=0, label=name
    )
    short = with_few_epochs(spec, 3).config
    model.Config.model_validate(short)
    training = short.get("training") or short.get("base_config", {}).get("training") or short
    if model.role not in ("reference", "oracle") and whole.keys() & {"training", "epochs", "base_config"}:
        assert training["epochs"] == 3
    kept = with_few_epochs(spec, 3, {"epochs"}).config
    assert kept.get("training", kept).get("epochs") == whole.get("training", whole).get("epochs")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """20,000 users, a million events."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20_000), 50)
    items = rng.integers(0, 15_000, len(users))
    table = pd.DataFrame({"user": users, "item": items, "timestamp": 1_600_000_000 + np.arange(len(users))})
    table.to_csv(tmp_path / "big.csv", index=False)
    return tmp_path / "big.csv"


@pytest.mark.slow
def test_a_million_events_are_planned_to_be_answered_in_time(big: Path) -> None:
    """By the reference machine's timings, as on a machine where nothing was measured yet."""
    suite = load_suite("full").model_copy(update={"datasets": (DatasetSpec.model_validate({"path": str(big)}),)})
    costs = Costs(Means("cpu", 2, 1))
    short = quickened(Plan(suite=suite, runs=tuple(expand(suite)), command=""), expand, costs, 2)
    (dataset,) = short.suite.datasets
    assert 250 <= (dataset.sample_users or 0) <= 5000
    assert len(short.runs) >= 9
    expected = [estimate.seconds for run in short.runs if (estimate := costs.of(run)) is not None]
    assert max(max(expected), sum(expected) / 2) < 110


@pytest.mark.usefixtures("tiny_ml_100k")
def test_it_is_marked_in_title_report_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--suite", "smoke", "--models", "popularity,sasrec-ce", "--quick", "--jobs", "1"]) == 0
    assert "smoke-quick: quick first answer, not a result" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["smoke-quick"]
    assert not (tmp_path / "results" / "smoke").exists()
    text = (tmp_path / "reports" / "smoke-quick" / "report.md").read_text()
    assert text.startswith("# smoke-quick: quick first answer, not a result")
    assert "--quick" in text
    assert cli.main(["report", "--suite", "smoke-quick"]) == 0


@pytest.mark.parametrize("option", [["--tuned"], ["--seeds", "3"]])
@pytest.mark.usefixtures("tiny_ml_100k")
def test_what_it_leaves_out_can_t_be_asked_for(option, refused) -> None:
    assert f"leave {option[0]} out" in refused(
        ["run", "--suite", "smoke", "--models", "popularity", "--quick", *option]
    )
