from __future__ import annotations

import math

from bench.number_text import p_value, percent, plus_minus
from bench.reporting.markdown import escape_html, marked, table


def test_best_is_bold_and_second_underlined() -> None:
    assert marked(["a", "b", "c"], [0.1, 0.3, 0.2]) == ["a", "**b**", "<u>c</u>"]
    assert marked(["a", "b", "c"], [0.1, 0.3, 0.2], highest=False) == ["**a**", "b", "<u>c</u>"]


def test_equal_as_printed_is_marked_equally() -> None:
    values = [0.12341, 0.12339, 0.1, 0.1, 0.05]
    assert marked(list("abcde"), values) == ["**a**", "**b**", "<u>c</u>", "<u>d</u>", "e"]


def test_missing_values_are_never_marked() -> None:
    assert marked(["-", "b", "c"], [math.nan, 0.3, 0.2]) == ["-", "**b**", "<u>c</u>"]


def test_nothing_to_compare_nothing_marked() -> None:
    assert marked(["a", "-"], [0.3, math.nan]) == ["a", "-"]
    assert marked(["a", "b"], [0.3, 0.3]) == ["a", "b"]
    assert marked([], []) == []


def test_no_text_breaks_out_of_its_cell() -> None:
    lines = table(["Model", "Reason"], [["a", "x | y\nz"]], left=2).splitlines()
    assert len(lines) == 3
    assert "x \\| y z" in lines[2]
    assert escape_html("'<' not supported & so on") == "'&lt;' not supported &amp; so on"


def test_numbers_stay_as_given() -> None:
    assert " 0.1000 |" in table(["Model", "Value"], [["a", "0.1000"]])


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
