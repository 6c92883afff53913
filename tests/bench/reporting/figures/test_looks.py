"""A row looks the same in every figure and suite, the family in question stands out, and nobody has to see colours."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from bench.model_index import indexed
from bench.registry import BUILT_IN
from bench.reporting.figures import looks
from bench.reporting.figures.looks import row_style, row_styles
from bench.suite_files import load_suite, suite_names

# Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and Computer Graphics 15 (2009), severity 1.0.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast_to_white(color: str) -> float:
    """Of the Web Content Accessibility Guidelines 2.1, which ask for 3 of graphical objects."""
    return 1.05 / (float(linear(color) @ [0.2126, 0.7152, 0.0722]) + 0.05)


def shades() -> dict[str, tuple[str, ...]]:
    return {"strong": looks.STRONG, "outside": looks.OUTSIDE, "other": looks.OTHER, **looks.MUTED}


def test_a_look_follows_from_the_row_alone() -> None:
    alone = row_style("tiger-extended", "tiger")
    for others in (["glass"], ["popularity", "hstu", "glass"]):
        models = {name: name for name in others} | {"tiger-extended": "tiger"}
        assert row_styles(models)["tiger-extended"] == alone
        assert row_styles(dict(reversed(models.items())))["tiger-extended"] == alone


def test_built_in_models_of_a_family_have_looks_of_their_own() -> None:
    for family in {entry.group for entry in indexed().values()}:
        members = [name for name in BUILT_IN if indexed()[name].group == family]
        assert len({(row_style(name).color, row_style(name).marker) for name in members}) == len(members)


@pytest.mark.parametrize("suite", suite_names())
def test_rows_of_a_suite_can_be_told_apart(suite: str) -> None:
    """All of them where the field is compared; elsewhere one pair of variants may be alike, under other names."""
    styles = [row_style(entry.row, entry.model) for entry in load_suite(suite).models]
    different = len({(style.color, style.marker, style.line) for style in styles})
    assert different >= len(styles) - (suite not in ("long", "full"))


def test_a_new_model_changes_no_other_look(monkeypatch: pytest.MonkeyPatch) -> None:
    known = indexed()
    rows = {"tiger-extended": "tiger", "glass-extended": "glass", "hstu": "hstu", "tiger": "tiger"}
    before = row_styles(rows)
    latest = max(entry.year or 0 for entry in known.values())
    more = {"first": replace(known["tiger"], year=latest + 1), **known}
    monkeypatch.setattr(looks, "indexed", lambda: more)
    for cached in (row_style, looks._family):
        cached.cache_clear()
    try:
        assert row_styles(rows) == before
        assert row_style("first").color in looks.MUTED["semantic ID"]
    finally:
        for cached in (row_style, looks._family):
            cached.cache_clear()


def test_one_family_is_strong_and_no_other_row_has_its_hue() -> None:
    strong = {name for name in BUILT_IN if row_style(name).strong}
    assert strong == {name for name, entry in indexed().items() if entry.group == "GLASS family"}
    assert row_style("glass-extended", "glass").strong
    taken = {color for family, colors in shades().items() if family != "strong" for color in colors}
    assert {row_style(name).color for name in strong} <= set(looks.STRONG)
    assert not taken & set(looks.STRONG)


def test_models_from_outside_are_black() -> None:
    style = row_style("same-genre", "my_model:SameGenre")
    assert style.color in looks.OUTSIDE
    assert not style.strong


def test_every_colour_is_seen_on_white_and_every_family_has_several() -> None:
    for colors in shades().values():
        assert min(map(contrast_to_white, colors)) >= 2.75
        assert len(set(colors)) == len(colors) >= 3
        assert all(len(looks.MARKERS) % len(colors) for colors in shades().values())


def test_shades_of_a_family_differ_in_lightness() -> None:
    for colors in shades().values():
        for one, other in combinations(colors, 2):
            first, second = contrast_to_white(one), contrast_to_white(other)
            assert max(first, second) / min(first, second) > 1.1


@pytest.mark.parametrize("kind", BLIND)
def test_the_strong_family_stands_out_for_colour_blind_readers_too(kind: str) -> None:
    """The first two reds are what built-in models have; the nearest other colour is far enough from each."""
    seen = np.array(BLIND[kind])

    def perceived(color: str) -> np.ndarray:
        return np.clip(seen @ linear(color), 0, 1) ** (1 / 2.2)

    others = [color for family, colors in shades().items() if family != "strong" for color in colors]
    for red in looks.STRONG[:1]:
        assert min(np.abs(perceived(red) - perceived(color)).max() for color in others) > 0.12
