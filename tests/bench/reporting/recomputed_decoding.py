"""The tables on decoding, made again from nothing but the CSV files."""

from __future__ import annotations

from recomputed import Cells, Files, Table, over_seeds, where

from bench.number_text import number, percent


def accuracy(files: Files, table: Table) -> Cells:
    return _by_level(files, {"training-accuracy": "acc_{}, training", "accuracy": "acc_{}, test"}, 3)


def prefixes(files: Files, table: Table) -> Cells:
    found = _by_level(files, {"prefix-precision": "P_{}", "survival": "In beam after level {}"}, 3)
    codes = {f"P_{level}": f"P_{'123456789'[:level]}" for level in range(1, 10)}
    return {(model, codes.get(column, column)): cell for (model, column), cell in found.items()}


def progression(files: Files, table: Table) -> Cells:
    metrics = {"conditional-rank": "Mean rank at level {}", "rank-progression": "Places lost at level {}"}
    cells = _by_level(files, metrics, 2)
    for model in files.traced():
        cells.pop((model, "Places lost at level 1"))
        for level in files.levels(model, "conditional-rank"):
            n = files.decoding(model, "conditional-rank", f"level:{level}")["n"].mean()
            cells[model, f"n at level {level}"] = f"{n:,.0f}"
    return cells


def wrong_first(files: Files, table: Table) -> Cells:
    cells = {}
    for model in files.traced():
        for level in files.levels(model, "rank-after-true-first"):
            row = f"{model} {level}"
            for words, code in (("true first code", "true"), ("wrong one", "wrong")):
                rank = files.decoding(model, f"rank-after-{code}-first", f"level:{level}")
                share = files.decoding(model, f"accuracy-after-{code}-first", f"level:{level}")
                cells[row, f"Mean rank, {words}"] = number(rank["value"].mean(), 2)
                cells[row, f"Accuracy, {words}"] = percent(share["value"].mean())
                cells[row, "n"] = f"{rank['n'].mean():,.0f}"
    return cells


def retrieval(files: Files, table: Table) -> Cells:
    cells = {}
    for model in where(files.read("decoding"), metric="nothing-retrieved")["row"].unique():
        median, gate = (files.decoding(model, metric) for metric in ("median-retrieved", "gate"))
        cells[model, "Nothing found"] = percent(files.decoding(model, "nothing-retrieved")["value"].mean())
        cells[model, "Median events, where any"] = number(median["value"].mean(), 1)
        cells[model, "Mean gate, where any"] = number(gate["value"].mean(), 3)
        correlation = files.decoding(model, "gate-correlation")["value"]
        cells[model, "Rank correlation of gate and events"] = over_seeds(correlation, 2)
        cells[model, "n, where any"] = f"{median['n'].mean():,.0f}"
    return cells


def papers(files: Files, table: Table) -> Cells:
    """Compared with `decoding.csv`: training accuracy (or that of the test), and places lost (or the mean rank)."""
    readings = {
        "acc": ("training-accuracy", "accuracy"),
        "p": ("prefix-precision", ""),
        "gate": ("gate-correlation", ""),
    }
    readings["crp"] = "rank-progression", "conditional-rank"
    cells = {}
    traced = files.read("decoding")["row"].unique()
    figures = [
        row for row in where(files.read("published"), level="decoding").to_dict("records") if row["row"] in traced
    ]
    for row, figure in zip(table.rows, figures, strict=True):
        kind, _, level = figure["metric"].partition("@")
        part = f"level:{level}" if level else "overall"
        value = f"{figure['published']:g}" if level else ("rises" if figure["published"] > 0 else "falls")
        cells[" ".join(row[:4]), "Paper"] = value
        for column, metric in zip(("Measured here", "Other reading"), readings[kind], strict=True):
            found = files.decoding(figure["row"], metric, part)["value"]
            cells[" ".join(row[:4]), column] = over_seeds(found, 3) if len(found) else "-"
        assert row[3] == figure["row"]
    return cells


def _by_level(files: Files, columns: dict[str, str], digits: int) -> Cells:
    return {
        (model, name.format(level)): over_seeds(files.decoding(model, metric, f"level:{level}")["value"], digits)
        for model in files.traced()
        for metric, name in columns.items()
        for level in files.levels(model, metric)
    }
