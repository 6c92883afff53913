"""The figure of a data set shows what there is, and nothing that there isn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench.analysis.data_card import DataShape, make_card, shape_of
from bench.data.dataset import Dataset, ItemTable
from bench.data.interactions import Interactions
from bench.reporting.figures.data import data_figure, save_data_figure


def made_up(repeats: bool, category: bool, has_time: bool) -> Dataset:
    random = np.random.default_rng(0)
    lengths = np.array([3, 4, 70, 200])
    items = [random.integers(0, 300, n) if repeats else random.permutation(300)[:n] for n in lengths]
    interactions = Interactions(
        items=np.concatenate(items).astype(np.int32),
        timestamps=np.arange(lengths.sum(), dtype=np.int64) * 3600,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        n_items=300,
    )
    table = ItemTable(pd.DataFrame(index=range(300)), (), np.arange(300, dtype=np.int32) % 7 if category else None)
    ids = np.arange(300).astype(np.str_)
    rule = "keep" if repeats else "exclude"
    return Dataset("made-up", interactions, table, ids, ids[:4], rule, False, "", "", "hash", has_time=has_time)


def drawn(dataset: Dataset) -> Figure:
    card = make_card(dataset)
    figure = data_figure(card, shape_of(dataset, card))
    assert isinstance(figure, Figure)
    return figure


@pytest.mark.parametrize(
    ("repeats", "category", "has_time", "panels", "bars"),
    [(True, True, True, 4, 6), (False, True, True, 4, 3), (True, False, False, 3, 3), (False, False, False, 2, 0)],
)
def test_panels_are_drawn_where_there_is_something_to_see(
    repeats: bool, category: bool, has_time: bool, panels: int, bars: int
) -> None:
    dataset = made_up(repeats, category, has_time)
    figure = drawn(dataset)
    assert len(figure.axes) == panels
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert any(title.startswith("Events over time") for title in titles) == has_time
    reach = [axes for axes, title in zip(figure.axes, titles, strict=True) if title.startswith("Last use")]
    assert sum(len(axes.patches) for axes in reach) == bars
    for axes in figure.axes:
        assert axes.get_xlabel() or axes in reach
        assert axes.get_ylabel()
    words = " ".join(text.get_text() for text in figure.texts)
    assert "4 users, 300 items, 277 events" in words


def test_one_length_of_all_users_is_said_in_words() -> None:
    dataset = made_up(True, False, True)
    interactions = replace(dataset.interactions, offsets=np.array([0, 277], dtype=np.int64))
    alone = replace(dataset, interactions=interactions)
    figure = drawn(alone)
    assert not any(axes.get_title(loc="left").startswith("Length of histories") for axes in figure.axes)
    assert "every history has about 277 events" in " ".join(text.get_text() for text in figure.texts)


def test_what_would_be_single_bars_is_said_in_words(tmp_path: Path) -> None:
    card = make_card(made_up(True, False, True))
    spans = pd.DataFrame({"start": [0], "end": [1], "events": [277]})
    shape = DataShape(
        lengths=pd.DataFrame({"shortest": [5.0], "limit": [6.0], "users": [4]}),
        item_counts=pd.DataFrame({"rank": [1], "events": [277]}),
        over_time=spans,
        reach=pd.DataFrame({"of": ["item"] * 3, "part": ["recent", "far", "never"], "share": [1.0, 0.0, 0.0]}),
    )
    said = save_data_figure(card, shape, tmp_path / "figure.png")
    assert said.startswith("No figure of made-up (4 users, 300 items, 277 events): every history has about ")
    assert said.endswith(
        "; one item has all events; all events are of about 1970-01-01; "
        "test targets were last used in the last 50 events."
    )
    assert not (tmp_path / "figure.png").exists()


def test_equal_data_give_equal_files(tmp_path: Path) -> None:
    dataset = made_up(True, True, True)
    for name in ("one.png", "two.png"):
        card = make_card(dataset)
        save_data_figure(card, shape_of(dataset, card), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
