"""`bench data describe`, `bench run --dataset PATH` and data sets of one's own in a suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from bench.cli.main import main
from bench.data import catalog
from bench.errors import BenchError
from bench.execution.store import ResultStore
from bench.plan import Plan, expand
from bench.spec import DatasetSpec, RunSpec
from bench.suite_files import load_suite

ROOT = Path(__file__).parents[3]
HEADER = "reader,article,when\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `my events.csv` (20 readers, 12 of 15 articles each) and `items.csv`."""
    random = np.random.default_rng(0)
    rows = [
        f"r{user},a{item},{1_500_000_000 + 86_400 * place}\n"
        for user in range(20)
        for place, item in enumerate(random.permutation(15)[:12])
    ]
    (tmp_path / "my events.csv").write_text(HEADER + "".join(random.permutation(rows)))
    titles = "".join(f"a{item},Story {item},{('news', 'sport')[item % 2]}\n" for item in range(15))
    (tmp_path / "items.csv").write_text("article,title,category\n" + titles)
    monkeypatch.chdir(tmp_path)
    catalog.load_dataset.cache_clear()
    return tmp_path


COLUMNS = ["--user", "reader", "--item", "article", "--time", "when"]


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_a_card_is_printed_in_each_form(here: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert main(["data", "describe", "my events.csv", *COLUMNS, "--items", "items.csv", "--format", form]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    if form == "json":
        card = json.loads(shown.out)
        assert (card["name"], card["users"], card["items"], card["events"]) == ("my-events", 20, 15, 240)
    else:
        for words in ("my-events", "20 users, 15 items, 240 events", "columns: user is 'reader'"):
            assert words in shown.out
    if form == "markdown":
        assert "| Text" in shown.out


def test_a_plot_is_drawn_on_request(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "my events.csv", *COLUMNS, "--items", "items.csv", "--plot", "card.png"]) == 0
    assert "plot: card.png" in capsys.readouterr().out
    assert min(imread("card.png").shape[:2]) > 500
    assert sorted(path.name for path in here.iterdir()) == ["card.png", "items.csv", "my events.csv"]


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_registered_data_set_is_described_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "ml-100k"]) == 0
    assert "30 users, 40 items, 360 events" in capsys.readouterr().out


def test_a_card_needs_neither_torch_nor_matplotlib(here: Path) -> None:
    code = (
        "import sys; from bench.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'matplotlib', 'sklearn'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "data", "describe", "my events.csv", *COLUMNS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "describe", "absent.csv"], "'absent.csv' does not exist"),
        (["data", "describe", "ml-10k"], "unknown data set 'ml-10k': did you mean ml-100k"),
        (["data", "describe", "my events.csv"], "no column that is plainly the user; name it with --user"),
        (["data", "describe", "my events.csv", *COLUMNS, "--plot", "card.doc"], "should end in .png, .svg, .pdf"),
        (
            ["data", "describe", "my events.csv", *COLUMNS, "--duplicates", "x"],
            "duplicates: should be 'keep' or 'drop'",
        ),
        (["data", "describe", "my events.csv", *COLUMNS, "--seen-items", "x"], "seen_items: should be 'exclude' or"),
        (
            ["data", "describe", "my events.csv", *COLUMNS, "--min-user-events", "x"],
            "min_user_events: should be a valid",
        ),
        (["data", "describe", "ml-100k", "--user", "x"], "--user is for data of your own; 'ml-100k' is a registered"),
        (["data", "show", "ml-100k"], "show"),
        (["run", "--dataset", "absent.csv"], "'absent.csv' does not exist"),
        (["run", "--user", "reader"], "--user reader: this is for --dataset"),
        (["run", "--dataset", "my events.csv", "--dataset", "./my events.csv", *COLUMNS], "two data sets are named"),
        (["run", "--dataset", "short.csv"], "leave-one-out leaves no validation query of data set 'short'"),
        (["run", "--dataset", "empty.csv"], "empty.csv is empty"),
        (["run", "--dataset", "broken.csv"], "broken.csv, row 3, column 'time': holds -5, a negative time"),
        (["run", "--dataset", "one.csv"], "has one item only ('a'); there is nothing to rank"),
        (
            ["run", "--dataset", "plain.csv", "--time", "none", "--protocol", "temporal"],
            "needs the time of every event",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    here: Path, arguments: list[str], message: str, refused: Callable[[list[str]], str]
) -> None:
    (here / "empty.csv").write_text("")
    (here / "short.csv").write_text("user,item,time\nu,a,1\nv,b,2\n")
    (here / "broken.csv").write_text("user,item,time\nu,a,1\nv,b,-5\n")
    (here / "one.csv").write_text("user,item,time\nu,a,1\nu,a,2\nu,a,3\n")
    (here / "plain.csv").write_text("user,item\nu,a\nu,b\nu,c\n")
    assert message in refused([*arguments, *(["--models", "popularity"] if arguments[0] == "run" else [])])
    assert not (here / "results").exists()


def test_a_run_on_a_file_just_works_and_is_found_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--suite", "smoke", "--models", "popularity,item-knn", "--dataset", "my events.csv", *COLUMNS]
    assert main(command) == 0
    assert "2 complete, 0 failed, 0 skipped" in capsys.readouterr().out
    plan = Plan.read(here / "results", "own-my-events")
    assert plan.command == (
        "python -m bench run --suite smoke --models popularity,item-knn --dataset 'my events.csv' "
        "--user reader --item article --time when"
    )
    assert [run.dataset.label for run in plan.runs] == ["my-events"] * 2
    result = ResultStore(here / "results").load(plan.runs[0])
    assert result is not None
    assert result.queries is not None
    assert len(result.queries) == 20
    assert "my-events" in (here / "reports" / "own-my-events" / "report.md").read_text()

    (here / "elsewhere").mkdir()
    (here / "my events.csv").rename(here / "elsewhere" / "my events.csv")
    catalog.load_dataset.cache_clear()
    assert main([*command[:6], "elsewhere/my events.csv", *COLUMNS]) == 0
    assert "nothing to do, all 2 runs are complete" in capsys.readouterr().out


def test_a_suite_may_name_files_relative_to_its_folder(here: Path) -> None:
    (here / "suites").mkdir()
    (here / "suites" / "mine.yaml").write_text(
        "datasets:\n"
        "  - {path: ../my events.csv, user: reader, item: article, time: when, items: ../items.csv, text: title}\n"
        "  - {name: short, path: ../my events.csv, user: reader, item: article, time: when, min_item_events: 14}\n"
        "models: [popularity]\n"
    )
    suite = load_suite(str(here / "suites" / "mine.yaml"))
    assert [dataset.label for dataset in suite.datasets] == ["my-events", "short"]
    first, second = expand(suite)
    assert first.data_hash != second.data_hash
    assert catalog.load_dataset("my-events", first.dataset.files).item_table.text_columns == ("title",)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("{name: ml-100k, user: x}", "user: for a data set of your own only, and with its path"),
        ("{path: x.csv, name: ../up}", "name '../up' names a folder"),
        ("{path: x.csv, usr: y}", "unknown key 'usr': did you mean user"),
        ("{user: y}", r"key 'datasets\[0\].name' is missing"),
        ("{path: x.csv}, {path: y/x.csv}", "two data sets are named 'x'"),
    ],
)
def test_mistakes_about_files_in_a_suite_are_told(tmp_path: Path, dataset: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"datasets: [{dataset}]\nmodels: [popularity]\n")
    with pytest.raises(BenchError, match=message):
        load_suite(str(path))


def run_of(dataset: DatasetSpec, data_hash: str = "hash") -> RunSpec:
    return RunSpec(dataset=dataset, data_hash=data_hash, model="m", revision=1, config={}, seed=0, label="m")


def test_the_key_of_a_run_is_of_the_data_and_not_of_their_place() -> None:
    here = run_of(DatasetSpec(path="a/x.csv", user="u"))
    assert here.key == run_of(DatasetSpec(name="x", path="b/x.csv")).key
    assert here.key != run_of(DatasetSpec(path="a/x.csv", user="u"), "another").key
    assert here.key != run_of(DatasetSpec(path="a/x.csv", seen_items="keep")).key
    assert RunSpec.model_validate_json(here.model_dump_json()) == here


def test_a_file_that_changed_since_the_plan_is_not_judged_under_the_old_key(here: Path) -> None:
    (here / "mine.yaml").write_text(
        "datasets: [{path: my events.csv, user: reader, item: article, time: when}]\nmodels: [popularity]\n"
    )
    (planned,) = expand(load_suite("mine.yaml"))
    from bench.execution.worker import execute

    result = execute(planned.model_copy(update={"data_hash": "as it was"}), here / "results", "cpu", 1)
    assert result.status == "failed"
    assert "the files of 'my-events' have changed since this run was planned" in result.reason


def test_options_on_reading_are_the_same_on_the_command_line_and_in_a_suite(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"u{user}|i{(user + step) % 7}|view|{step}" for user in range(6) for step in range(6)]
    (here / "log.dat").write_text("\n".join([*rows, "u0|i6|buy|9", "NA|i1|view|1", "u1|i6|view|soon"]) + "\n")
    options = ["--no-header", "--user", "1", "--item", "2", "--time", "4", "--separator", "|"]
    options += ["--keep", "3=view", "--keep", "3=buy", "--missing", "NA", "--incomplete", "drop", "--bad-times", "drop"]
    assert main(["data", "describe", "log.dat", *options, "--format", "json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["users"], card["items"], card["events"]) == (6, 7, 37)
    (here / "suite.yaml").write_text(
        'datasets: [{path: log.dat, no_header: true, user: 1, item: 2, time: 4, separator: "|", '
        'keep: {"3": [view, buy]}, '
        "missing: NA, incomplete: drop, bad_times: drop}]\nmodels: [popularity]\nseeds: 1\n"
    )
    (spec,) = load_suite("suite.yaml").datasets
    assert catalog.load_dataset(spec.name, spec.files).content_hash == card["content_hash"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "when"], "keep: 'when' should read COLUMN=VALUE"),
        (["--min-rating", "good"], "min_rating: should be a valid number"),
        (["--min-rating", "4"], "no column that is plainly the rating; name it with --rating"),
        (["--bad-times", "keep"], "bad_times: should be 'raise' or 'drop'"),
        (["--separator", ""], "--separator '': give one to three characters"),
        (["--then", "hour"], "has no column 'hour' (--then)"),
        (["--rating", "when"], "give both"),
    ],
)
def test_options_on_reading_that_do_not_fit_are_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["data", "describe", "my events.csv", *COLUMNS, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
