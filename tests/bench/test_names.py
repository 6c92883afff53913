"""Names from files lead nowhere: legal ones stay as they are, all others are refused in one line."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.runs import Run
from bench.data.data_files import name_of
from bench.errors import BenchError
from bench.export.runs import folder_of
from bench.names import RESERVED, alike, file_part, path_name, row_label
from bench.plan import Plan
from bench.registry import BUILT_IN, model_names
from bench.spec import Comparison, DatasetSpec, Entry, RunSpec, Suite
from bench.suite_files import load_suite

LEGAL = [
    "ml-100k",
    "complete-journey-compact",
    "sasrec-ce-200",
    "glass-gate-0.5",
    "made_up",
    "a b",
    "ü",
    "日本語",
    "x+y@z",
]
ILLEGAL = [
    *(
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        ".hidden",
        "-rf",
        "a..b",
        "a.",
        "a ",
        " a",
        "a\nb",
        "a\tb",
        "a\x00b",
    ),
    *("a\x1b[31m", "a\u202eb", "a\u200bb", "a\ud800", "a:b", "a*b", "a?b", 'a"b', "a<b", "a|b", "~x", "$HOME", "=1+1"),
    *("CON", "nul", "com1.txt", "Aux", "lpt9", "COM¹", "runs", "Cache", "TUNING", "plan.json", "x" * 73, "ü" * 37),
    *("\uff0e\uff0e", "a\u2215b", "\uff21", "gl\u0430ss"),
]
"""Of folders; "\uff21" is a wide A, "gl\u0430ss" has a Cyrillic letter."""

LABELS = [
    "glass",
    "same as first",
    "broken & co",
    "a/b",
    "a%2Fb",
    "with (half) the data, 5 %",
    "alpha=0.5",
    "b.c",
    "naïve",
]
NO_LABELS = [
    *(
        " ",
        "..",
        ".x",
        "_x",
        "-x",
        "=1+1",
        "+1",
        "@x",
        "'x",
        "\uff1d1",
        "a\nb",
        "a\x1b[0m",
        "a\u202eb",
        "<script>",
        "a|b",
    ),
    *(
        "`a`",
        "*a*",
        "[x](javascript:alert(1))",
        "a\\write18",
        "$a$",
        "CON",
        "a.",
        "x" * 73,
        "a\u00a0b",
        "a\ud800",
        "~a~",
    ),
]


@pytest.mark.parametrize("name", [*LEGAL, *BUILT_IN])
def test_legal_names_stay_as_they_are(name: str) -> None:
    assert path_name(name) == row_label(name) == name


@pytest.mark.parametrize("name", ILLEGAL)
def test_names_that_are_no_single_folder_everywhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name '") as caught:
        path_name(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("label", LABELS)
def test_legal_labels_stay_as_they_are(label: str) -> None:
    assert row_label(label) == label


@pytest.mark.parametrize("label", NO_LABELS)
def test_labels_that_mean_more_than_themselves_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match="label '") as caught:
        row_label(label)
    assert str(caught.value).isprintable()


def test_names_are_kept_in_their_composed_form() -> None:
    assert path_name("e\u0301") == row_label("e\u0301") == "\u00e9"
    assert DatasetSpec(name="e\u0301").label == "\u00e9"
    assert alike(["a", "\u00e9", "E\u0301"]) == ("\u00e9", "E\u0301")
    assert alike(["a", "b"]) is None


SUITE = """
datasets: [ml-100k]
models:
  - popularity
  - {model: item-knn, label: other}
comparisons:
  - {title: Width, question: Does it help, rows: [popularity, other], against: other}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("datasets: [", "name: ..\ndatasets: [", "name: name '..' names a folder: use letters"),
        ("datasets: [", "name: runs\ndatasets: [", "name: name 'runs' is that of a folder or file of this program"),
        ("datasets: [", "name: Cache\ndatasets: [", "name: name 'Cache' is that of a folder"),
        ("datasets: [", 'name: "a\\e[2J"\ndatasets: [', r"name: name 'a\x1b[2J' names a folder"),
        ("datasets: [ml-100k]", "datasets: [{name: ../x}]", "datasets[0].name: name '../x' names a folder"),
        ("label: other", "label: ../../x", "models[1].label: label '../../x' should begin with a letter or digit"),
        ("label: other", 'label: "a\\nb"', r"models[1].label: label 'a\nb' should be text on one line"),
        ("label: other", "label: '=HYPERLINK(0)'", "label '=HYPERLINK(0)' should begin with a letter or digit"),
        ("label: other", "label: <b>", "label '<b>' should hold none of < >"),
        ("label: other", "label: nul", "label 'nul' is that of a device on Windows"),
        (
            "label: other",
            "label: Popularity",
            "two rows are named 'popularity' and 'Popularity', which file systems may",
        ),
        ("label: other", "label: popularity", "two rows are named 'popularity': give one of them a 'label'"),
        ("title: Width", "title: '...'", "comparisons[0].title: title '...' should hold a letter or digit"),
        ("title: Width", f"title: {'x' * 200}", "should be one line of at most 160 bytes"),
    ],
)
def test_a_name_in_a_suite_that_leads_elsewhere_is_refused_with_its_file_and_key(
    tmp_path: Path, refused: Callable[[list[str]], str], old: str, new: str, message: str
) -> None:
    assert old in SUITE
    (tmp_path / "mine.yaml").write_text(SUITE.replace(old, new, 1))
    complaint = refused(["run", "--suite", "mine.yaml", "--results", "out/results", "--reports", "out/reports"])
    assert complaint.startswith("error: mine.yaml: ")
    assert message in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_titles_that_would_share_a_figure_are_refused(tmp_path: Path) -> None:
    again = "  - {title: '%s', question: Does it, rows: [popularity, other], against: other}\n"
    for title in ("Width!", "WIDTH"):
        (tmp_path / "mine.yaml").write_text(SUITE + again % title)
        with pytest.raises(BenchError, match=f"'Width' and '{title}' would share a figure"):
            load_suite(str(tmp_path / "mine.yaml"))
    (tmp_path / "mine.yaml").write_text(SUITE + again % "幅" + again % "大")
    assert len({file_part(asked.title) for asked in load_suite(str(tmp_path / "mine.yaml")).comparisons}) == 3
    assert file_part("What the long history is worth to a counter") == "what-the-long-history-is-worth-to-a-counter"


def test_a_data_set_that_could_take_the_figure_of_another_is_refused() -> None:
    from bench.suite_files import check_files

    asked = Comparison(title="x quality", question="", rows=("a", "b"), against="a")
    sets = tuple(DatasetSpec(name=name) for name in ("d", "d-comparison-x"))
    suite = Suite(name="s", description="", datasets=sets, models=(), seeds=(0,), comparisons=(asked,))
    with pytest.raises(BenchError, match="'d' and 'd-comparison-x' could share a figure"):
        check_files(suite)


def planned(results: Path, **changes: object) -> Path:
    """The file of a plan in which some values are replaced, by dotted keys."""
    spec = RunSpec(
        dataset=DatasetSpec(name="ml-100k"), data_hash="h", model="popularity", revision=1, config={}, seed=0, label="p"
    )
    suite = Suite(
        name="mine", description="", datasets=(spec.dataset,), models=(Entry(model="popularity"),), seeds=(0,)
    )
    Plan(suite=suite, runs=(spec,), command="c").write(results)
    path = Plan.path(results, "mine")
    content = json.loads(path.read_text())
    for key, value in changes.items():
        here = content
        *parents, last = key.split("__")
        for part in parents:
            here = here[int(part) if part.isdecimal() else part]
        here[last] = value
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("suite__name", "../../x"),
        ("suite__name", "other"),
        ("suite__name", "runs"),
        ("runs__0__dataset__name", "../../x"),
        ("runs__0__model", "../../x"),
        ("runs__0__model", ".locks"),
        ("runs__0__label", "../../x"),
        ("runs__0__label", "a\x1b[2J"),
        ("runs__0__seed", -1),
        ("runs__0__seed", 10**400),
        ("runs__0__seed", True),
        ("suite__datasets__0__name", "/etc"),
        ("suite__models__0__label", "=cmd|' /C calc'!A0"),
    ],
)
def test_a_name_in_a_plan_that_leads_elsewhere_is_refused(
    tmp_path: Path, refused: Callable[[list[str]], str], key: str, value: object
) -> None:
    path = planned(tmp_path / "out" / "results", **{key: value})
    for command in (["report"], ["export", "--to", "latex"]):
        complaint = refused([*command, "--suite", "mine", "--results", "out/results"])
        assert complaint.startswith("error: unreadable plan 'out/results/mine/plan.json' (")
        assert "python -m bench run --suite mine --results out/results writes it anew" in complaint
        assert complaint.rstrip("\n").isprintable()
        assert len(complaint) <= 510
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"label": "Row"}, {"label": "row"}, "two rows are named 'Row' and 'row'"),
        ({"dataset": "D"}, {"dataset": "d"}, "two data"),
    ],
)
def test_runs_of_a_plan_are_told_apart_on_every_file_system(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], message: str
) -> None:
    path = planned(tmp_path)
    content = json.loads(path.read_text())
    (run,) = content["runs"]
    content["runs"] = [
        {**run, **{key: {"name": name} if key == "dataset" else name for key, name in other.items()}}
        for other in (first, second)
    ]
    path.write_text(json.dumps(content))
    with pytest.raises(BenchError, match=message):
        Plan.read(tmp_path, "mine")


@pytest.mark.parametrize("suite", ["../mine", "..", ".", "/tmp", "a\x1b[2J", "runs"])
def test_a_suite_of_the_command_line_is_no_path(refused: Callable[[list[str]], str], suite: str) -> None:
    for command in ("report", "run"):
        assert quoted_or_unknown(suite) in refused([command, "--suite", suite, "--results", "out"])


def quoted_or_unknown(suite: str) -> str:
    return "'" + suite.replace("\x1b", r"\x1b") + "'"


def test_a_model_of_another_package_can_not_be_named_like_a_path(outside_models: Path) -> None:
    outside_models.write_text("[glass_bench.models]\n../../x = outside_models:Outside\n")
    with pytest.raises(
        BenchError, match=r"distribution 'outside-models' registers a model whose name '../../x' names a"
    ):
        model_names()


def test_the_name_of_a_file_becomes_a_legal_name() -> None:
    names = [
        "my events.csv",
        "runs.csv",
        "con.csv",
        "..csv",
        "a..b.csv",
        "x" * 200 + ".csv",
        "ü" * 120 + ".csv",
        "\udcff",
    ]
    for file in names:
        assert path_name(name_of(file)) == name_of(file)
    assert name_of("runs.csv") != name_of("cache.csv")
    assert name_of("my events.csv") == "my-events"
    assert name_of("_x.csv") == "_x"


def kept_or_why_not(check: Callable[[str], str], name: str) -> tuple[str | None, str]:
    try:
        return check(name), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=600)
@given(
    st.one_of(
        st.text(max_size=90),
        st.text(alphabet=st.sampled_from(list("aA0._-+@ /\\:~\x00\x1b\u202e\u0301\uff0e\u0430=")), max_size=90),
        st.sampled_from([*LEGAL, *ILLEGAL, *LABELS, *NO_LABELS, *RESERVED]),
    ),
    st.booleans(),
)
def test_whatever_the_name_every_file_lies_in_its_folder(name: str, also_nfd: bool) -> None:
    name = unicodedata.normalize("NFD", name) if also_nfd else name
    root = Path("/root/results")
    dataset = DatasetSpec(name="d")
    for check in (path_name, row_label):
        kept, why = kept_or_why_not(check, name)
        assert why.isprintable()
        assert len(why) < 300
        if kept is None:
            continue
        assert check(kept) == kept
        assert kept.isprintable()
        assert kept[0] not in "=+-@.'"
        if check is path_name:
            parts = (kept, f"{kept}.tex", f".{kept}@leave-one-out+exclude+warm-comparison-{'x' * 60}.4194304.png")
            for part in parts:
                assert (root / part).parent == root
                assert len(part.encode()) <= 255
            dataset = DatasetSpec(name=kept, protocol="temporal", seen_items="exclude", cold_targets="ignore")
        else:
            spec = RunSpec(dataset=dataset, data_hash="", model="m", revision=1, config={}, seed=0, label=kept)
            folder = folder_of(Run(spec, None))
            assert ".." not in folder.parts
            assert len(folder.parts) == 3
            assert max(len(part.encode()) for part in folder.parts) <= 255


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=300).filter(lambda text: "/" not in text and "\0" not in text))
def test_whatever_a_file_is_called_its_data_have_a_legal_name(stem: str) -> None:
    name = name_of(f"/data/{stem}.csv")
    assert path_name(name) == name
