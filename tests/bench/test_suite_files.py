from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.searched_as import SearchedAs
from bench.spec import DatasetSpec, Entry
from bench.suite_files import load_suite, seeds_from, suite_names

GOOD = """
description: Two models.
datasets:
  - ml-100k
  - {name: ml-100k, seen_items: keep}
models:
  - popularity
  - {model: sasrec-ce, label: wide, config: {dim: 128}, datasets: [ml-100k+keep]}
seeds: 2
"""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_the_suites_of_the_project_are_valid() -> None:
    assert {"smoke", "full", "reproduce"} <= set(suite_names())
    for name in suite_names():
        assert load_suite(name).name == name
    full = [entry.model for entry in load_suite("full").models]
    assert [entry.model for entry in load_suite("smoke").models if entry.model in full] == full


def test_plain_names_and_a_count_of_seeds_are_enough(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert suite.name == "mine"
    assert suite.datasets == (DatasetSpec(name="ml-100k"), DatasetSpec(name="ml-100k", seen_items="keep"))
    assert [entry.row for entry in suite.models] == ["popularity", "wide"]
    assert suite.seeds == (0, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: 2", "seeds: [1", r"mine.yaml, line \d+: broken YAML: "),
        ("seeds: 2", "seeds: 0", "seeds: should be a count"),
        ("seeds: 2", "seeds: [1, 1]", "distinct seeds"),
        ("seeds: 2", "seeds: 2\nmodles: []", "unknown key 'modles': did you mean models"),
        ("label: wide", "lable: wide", r"mine.yaml, models\[1\]: unknown key 'lable': did you mean label"),
        ("seen_items: keep", "seen_items: kept", r"seen_items: should be 'exclude' or 'keep', got 'kept'"),
        ("- popularity", "- popularty", "mine.yaml: unknown model 'popularty': did you mean popularity"),
        ("- ml-100k\n", "- ml-10k\n", "mine.yaml: unknown data set 'ml-10k': did you mean ml-100k"),
        ("[ml-100k+keep]", "[ml-1m]", "mine.yaml: row 'wide': unknown data set of this suite 'ml-1m'"),
        ("label: wide", "label: popularity", "two rows are named 'popularity'"),
        ("models:\n", "models: 7\nname:\n", "mine.yaml: key 'models' should be a list"),
        ("models:\n", "model:\n", "mine.yaml: key 'models' is missing: is it what 'model' should be called?"),
        ("datasets:", "data:", "mine.yaml: key 'datasets' is missing"),
        ("description: Two models.", "name: ../up", "names a folder"),
        ("model: sasrec-ce, ", "", r"key 'models\[1\].model' is missing"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(BenchError, match=message) as caught:
        load_suite(write(tmp_path, GOOD.replace(old, new)))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_note_is_for_all_data_sets_or_for_some_of_them_by_name_or_label(tmp_path: Path) -> None:
    noted = GOOD.replace("label: wide", "label: wide, note: {ml-100k: by name, ml-100k+keep: by label}")
    plain, wide = load_suite(write(tmp_path, noted.replace("- popularity", "- {model: popularity, note: all}"))).models
    usual, keep = DatasetSpec(name="ml-100k"), DatasetSpec(name="ml-100k", seen_items="keep")
    temporal = DatasetSpec(name="ml-100k", protocol="temporal")
    assert [plain.note_on(dataset) for dataset in (usual, keep)] == ["all", "all"]
    assert [wide.note_on(dataset) for dataset in (usual, keep, temporal)] == ["by name", "by label", "by name"]
    assert wide.note_on(DatasetSpec(name="ml-1m")) == ""
    with pytest.raises(BenchError, match=r"mine.yaml: row 'wide': unknown data set of this suite 'ml-1m'"):
        load_suite(write(tmp_path, GOOD.replace("label: wide", "label: wide, note: {ml-1m: elsewhere}")))


COMPARED = (
    GOOD
    + """
comparisons:
  - {title: Width, question: Does it help, rows: [popularity, wide], against: wide}
  - {title: Again, question: Does it, rows: [wide, popularity], against: popularity, paper: It does., cost: true}
"""
)


def test_comparisons_name_rows(tmp_path: Path) -> None:
    width, again = load_suite(write(tmp_path, COMPARED)).comparisons
    assert (width.title, width.rows, width.against, width.paper) == ("Width", ("popularity", "wide"), "wide", "")
    assert again.cost


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "rows: [popularity, wide]",
            "rows: [popularity, wyde]",
            "'Width': unknown row of this suite 'wyde': did you mean wide",
        ),
        ("rows: [popularity, wide]", "rows: [popularity, sasrec-ce]", "'Width': unknown row of this suite 'sasrec-ce'"),
        ("rows: [popularity, wide]", "rows: [wide]", "'Width': 'rows' should list at least two rows"),
        ("rows: [popularity, wide]", "rows: [wide, popularity, wide]", "each of them once"),
        ("against: wide", "against: tiger", "'Width': unknown row of its own 'tiger': known: popularity, wide"),
        ("title: Again", "title: Width", "two comparisons have the title 'Width'"),
        ("question: Does it, ", "", r"key 'comparisons\[1\].question' is missing"),
        ("title: Again", "titel: Again", r"comparisons\[1\]: unknown key 'titel': did you mean title"),
    ],
)
def test_a_mistake_in_a_comparison_is_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in COMPARED
    with pytest.raises(BenchError, match=message) as caught:
        load_suite(write(tmp_path, COMPARED.replace(old, new)))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


FOUND = (
    GOOD
    + """
paper:
  - {metric: crp@2, system: TIGER, value: 1.25, dataset: TAOBAO-MM, source: a paper, row: wide}
  - {metric: gate, system: GLASS, value: 1, dataset: TAOBAO-MM, source: a paper, row: wide}
"""
)


def test_findings_of_a_paper_name_the_row_that_comes_nearest(tmp_path: Path) -> None:
    progression, gate = load_suite(write(tmp_path, FOUND)).paper
    assert (progression.metric, progression.value, progression.row) == ("crp@2", 1.25, "wide")
    assert gate.metric == "gate"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metric: crp@2", "metric: crp2", r"paper\[0\]\.metric: should be acc@D, p@D or crp@D .*, got 'crp2'"),
        ("value: 1.25, ", "", r"key 'paper\[0\].value' is missing"),
        ("row: wide", "row: wyde", "paper, crp@2: unknown row of this suite 'wyde': did you mean wide"),
    ],
)
def test_a_mistake_in_a_finding_is_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        load_suite(write(tmp_path, FOUND.replace(old, new)))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


SEARCHED_AS = """
datasets: [ml-100k, {name: ml-100k, seen_items: keep}]
models:
  - {model: sasrec-ce, label: base, config: {dim: 128}}
  - {model: sasrec-ce, label: late, datasets: [ml-100k+keep]}
  - {model: count-mixture, searched_as: {row: base, within: base_config}, config: {base_config: {dim: 128}}}
"""


def test_a_row_names_the_row_whose_configuration_it_has(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, SEARCHED_AS))
    assert suite.searched_as == {"count-mixture": SearchedAs(row="base", within="base_config")}
    short = load_suite(write(tmp_path, SEARCHED_AS.replace("{row: base, within: base_config}", "base")))
    assert short.searched_as == {"count-mixture": SearchedAs(row="base")}
    plain = Entry(model="popularity")
    assert "searched_as" not in plain.model_dump(), "plans of suites without it stay what they were"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("row: base", "row: bsae", "searched_as: unknown other row of this suite 'bsae': did you mean base"),
        ("row: base", "row: count-mixture", "searched_as: unknown other row of this suite 'count-mixture'"),
        ("row: base", "row: late", "searched_as: row 'late' does not run on ml-100k, where 'count-mixture' does"),
        ("row: base", "rwo: base", "unknown key 'rwo': did you mean row?"),
        (
            "base, config: {dim: 128}}",
            "base, searched_as: other}\n  - {model: sasrec-ce, label: other}",
            "row 'base' is itself searched as 'other': name that",
        ),
    ],
)
def test_a_mistake_in_searched_as_is_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, SEARCHED_AS.replace(old, new))
    with pytest.raises(BenchError) as caught:
        load_suite(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_mapping_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="a suite is a mapping"):
        load_suite(write(tmp_path, "- popularity"))


def test_unknown_suites_and_missing_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="unknown suite 'ful': did you mean full"):
        load_suite("ful")
    with pytest.raises(BenchError, match=r"no suite file '.*absent.yaml'"):
        load_suite(str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize("value", [True, -1, 1.5, "3", [], [0, True], [-1], None])
def test_seeds_are_a_count_or_a_list(value: object) -> None:
    with pytest.raises(BenchError, match="here: should be a count"):
        seeds_from(value, "here")


def test_rows_of_a_comparison_in_the_ablation_differ_in_one_thing() -> None:
    suite = load_suite("ablation")
    entries = {entry.row: entry for entry in suite.models}
    for comparison in suite.comparisons:
        reference = entries[comparison.against]
        for row in comparison.rows:
            other = entries[row]
            changed = set(flat(other.config).items()) ^ set(flat(reference.config).items())
            # Another model comes with a training of its own.
            differences = {key for key, _ in changed} if other.model == reference.model else {"model"}
            assert len(differences) == (row != comparison.against), f"{comparison.title}: {row}: {differences}"


def test_every_row_of_the_ablation_answers_a_question() -> None:
    suite = load_suite("ablation")
    assert {entry.row for entry in suite.models} == {row for asked in suite.comparisons for row in asked.rows}


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots, with their values as text."""
    result: dict[str, str] = {}
    for key, value in config.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: str(value)}
    return result
