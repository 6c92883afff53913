"""A table is built once, of values: its text, its marks and what sorts it follow from them in every form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from as_text import cells_of
from rich.console import Console

from bench.number_text import p_value, percent, plus_minus
from bench.reporting import kinds as kind
from bench.reporting import markdown, terminal
from bench.reporting.kinds import Interval, Kind, MeanStd, Runs
from bench.reporting.table import Column, Flagged, Table, ranked
from bench.reporting.words import code, strong, words


def table_of(*values: object, column: Column | Kind = kind.TEXT) -> Table:
    """One value a row."""
    return Table.of("t", [column if isinstance(column, Column) else Column("c", column)], [[v] for v in values])


@pytest.mark.parametrize(
    ("value", "of_kind", "text", "number"),
    [
        (MeanStd(0.1226, 0.0022), kind.mean_std(), "0.1226 ± 0.0022", 0.1226),
        (MeanStd(0.1226, math.nan), kind.mean_std(2), "0.12", 0.1226),
        (MeanStd(math.nan, math.nan), kind.mean_std(), "-", None),
        (0.012, kind.P_VALUE, "0.012", 0.012),
        (0.0004, kind.P_VALUE, "< 0.001", 0.0004),
        (0.153, kind.percent(), "15.3 %", 0.153),
        (0.99999, kind.percent(), "> 99.9 %", 0.99999),
        (1_390_858, kind.COUNT, "1,390,858", 1_390_858),
        (Interval(0.0031, 0.0203), kind.INTERVAL, "+0.0031 .. +0.0203", 0.0031),
        (-0.0273, kind.DIFFERENCE, "-0.0273", -0.0273),
        (0.961, kind.RATIO, "0.96 x", 0.961),
        (Runs(2, "1 failed"), kind.RUNS, "2 (1 failed)", 2),
        (Runs(0, "1 failed, 2 pending"), kind.RUNS, "1 failed, 2 pending", 0),
        (np.float64(2.0), kind.decimals(1), "2.0", 2.0),
        (0.1, kind.numbers("+.1%"), "+10.0%", 0.1),
        (328.2, kind.RATIO, "330 x", 328.2),
        (1234.5, kind.digits_of(), "1,230", 1234.5),
        (math.nan, kind.RATIO, "-", None),
        (None, kind.COUNT, "-", None),
        ("rises", kind.decimals(), "rises", None),
        ("glass-50", kind.TEXT, "glass-50", None),
    ],
)
def test_a_value_has_the_text_and_the_number_of_its_kind(
    value: object, of_kind: Kind, text: str, number: float | None
) -> None:
    ((cell,),) = table_of(value, column=of_kind).cells
    assert (cell.text.plain, cell.number) == (text, number)


def test_best_is_bold_and_second_underlined() -> None:
    values = (0.1, 0.3, 0.2)
    for best, shown in (("high", ["0.1", "**0.3**", "<u>0.2</u>"]), ("low", ["**0.1**", "0.3", "<u>0.2</u>"])):
        table = table_of(*values, column=Column("c", kind.decimals(1), best=best))  # type: ignore[arg-type]
        assert [markdown.line(row[0].text) for row in table.cells] == shown


def test_equal_as_printed_is_marked_equally() -> None:
    assert ranked([0.12341, 0.12339, 0.1, 0.1, 0.05]) == ["best", "best", "second", "second", ""]
    column = Column("c", kind.mean_std(2), best="high")
    table = table_of(MeanStd(0.301, 0.1), MeanStd(0.299, 0.2), MeanStd(0.1, 0.1), column=column)
    assert [row[0].text.spans[0].mark for row in table.cells] == ["strong", "strong", "underlined"]


def test_missing_values_are_never_marked() -> None:
    assert ranked([math.nan, 0.3, None, 0.2]) == ["", "best", "", "second"]


def test_nothing_to_compare_nothing_marked() -> None:
    assert ranked([0.3, math.nan]) == ["", ""]
    assert ranked([0.3, 0.3]) == ["", ""]
    assert ranked([]) == []


def test_a_flag_is_shown_behind_the_mark_and_sorts_nothing() -> None:
    column = Column("c", kind.decimals(1), best="high")
    (first,), _ = table_of(Flagged(0.3, " ▲"), Flagged(0.2, ""), column=column).cells
    assert (markdown.line(first.text), first.number) == ("**0.3** ▲", 0.3)


def test_every_row_has_a_value_for_every_column() -> None:
    with pytest.raises(ValueError, match="table 't': every row needs 2 values"):
        Table.of("t", ("a", "b"), [["1", "2"], ["1"]])


def test_the_same_table_in_markdown_and_on_a_terminal() -> None:
    rows = [["glass", Flagged(MeanStd(0.3, 0.1), " ▲")], [code("a|b"), None]]
    table = Table.of("t", ["Model", Column(strong("NDCG"), kind.mean_std(1))], rows, title="T", caption="Below [it].")
    assert markdown.table(table).splitlines() == [
        "| Model   |    **NDCG** |",
        "|:--------|------------:|",
        "| glass   | 0.3 ± 0.1 ▲ |",
        "| `a\\|b`  |           - |",
    ]
    console = Console(width=60, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(terminal.table(table))
    lines = [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in captured.get().splitlines()]
    for line in ("T", "Model NDCG", "glass 0.3 ± 0.1 ▲", "a|b -", "Below [it]."):
        assert line in lines


def test_a_table_too_wide_to_be_read_as_text_is_not_filled_up_with_blanks() -> None:
    rows = [["glass", "because " * 20, 0.25], ["a|b", "short", None]]
    table = Table.of("t", ["Model", "Why", Column("NDCG", kind.decimals(2))], rows)
    assert markdown.table(table).splitlines() == [
        "| Model | Why | NDCG |",
        "|:---|:---|---:|",
        f"| glass | {('because ' * 20).strip()} | 0.25 |",
        "| a\\|b | short | - |",
    ]


def test_no_text_breaks_out_of_its_cell() -> None:
    lines = markdown.table(Table.of("t", ("Model", "Reason"), [["a", "x | y\nz"]])).splitlines()
    assert len(lines) == 3
    assert "x \\| y z" in lines[2]
    assert markdown.line("'<b>' not supported &amp; so on") == "'&lt;b>' not supported &amp;amp; so on"
    assert markdown.line("p < 0.001, <=50, a & b") == "p < 0.001, <=50, a & b"


def test_numbers_stay_as_given() -> None:
    assert "| 0.1000 " in markdown.table(Table.of("t", ("Model", "Value"), [["a", "0.1000"]]))


def test_words_keep_blanks_between_their_parts_and_none_around_them() -> None:
    text = " a " + strong("b\nc") + " `d` "
    assert markdown.line(text) == "a **b c** `d`"
    assert cells_of(table_of(text)) == [["a b c d"]]
    assert words("``a`").spans == words("``a`" + "").spans
    assert not strong("")


def test_hundred_percent_is_exactly_that() -> None:
    assert percent(1.0) == "100 %"
    assert percent(0.99999, 2) == "> 99.99 %"
    assert percent(0.031) == "3.1 %"
    assert percent(None) == percent(math.nan) == "-"


def test_deviation_only_where_there_is_one() -> None:
    assert plus_minus(0.1, 0.01) == "0.1000 ± 0.0100"
    assert plus_minus(0.1, math.nan) == "0.1000"
    assert plus_minus(math.nan, math.nan) == "-"


def test_small_p_values() -> None:
    assert p_value(0.0001) == "p < 0.001"
    assert p_value(0.0312) == "p = 0.031"
