"""One primary metric, declared once: what selects, what is tested and what is shown first all follow it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, SECONDARY_METRIC, metric_name
from bench.reporting.metric_names import column

BENCH = Path(__file__).parents[3] / "bench"
LISTS_OF_METRICS = {
    ("conventions.py", "ndcg@10"),  # the declaration
    ("export/latex.py", "ndcg@10"),  # among the columns of an export
    ("cli/results.py", "ndcg@10"),  # how to write such columns
}


def words(path: Path) -> Iterator[str]:
    """Every text in a module's code that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_nothing_but_the_declaration_decides_on_the_primary_metric() -> None:
    named = {
        (path.relative_to(BENCH).as_posix(), found)
        for path in BENCH.rglob("*.py")
        for text in words(path)
        for found in re.findall(r"ndcg@10", text, flags=re.IGNORECASE)
    }
    assert named == LISTS_OF_METRICS
    assert PRIMARY_METRIC == "ndcg@10"


@pytest.mark.parametrize(
    ("metric", "name"), [("ndcg@10", "NDCG@10"), ("recall@5", "Recall@5"), ("mrr@3", "MRR@3"), ("hit@1", "Hit@1")]
)
def test_metrics_are_called_as_in_papers(metric: str, name: str) -> None:
    assert metric_name(metric) == name


def test_every_other_metric_is_called_secondary() -> None:
    assert (column(PRIMARY_METRIC), column(PRIMARY_METRIC, "SID")) == (PRIMARY_NAME, f"{PRIMARY_NAME} SID")
    assert column("recall@10", "SID") == "Recall@10 SID (secondary)"
    assert SECONDARY_METRIC != PRIMARY_METRIC
