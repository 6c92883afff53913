"""The comparison with the official GLASS code: both sides are trained and asked, and what is no such code is said."""

from pathlib import Path

import official_glass
import pytest
from official_glass import Seen, Sizes

from bench.errors import SkippedRun

STAND_IN = """
import neighbour, torch
from torch import nn

class GLASS(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.table = nn.Embedding(config["vocab_size"], config["d_model"])

    def forward(self, input_ids, attention_mask, sim_input_ids, sim_attention_mask, labels, sidtier):
        logits = self.table(labels) @ self.table.weight.T + self.table(input_ids).mean()
        assert sim_input_ids.shape == (len(labels), 90) and input_ids.shape == (len(labels), 150)
        return nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), logits, logits.mean()

    def generate(self, input_ids, attention_mask, all_sim_input_ids, all_sim_attention_mask, beam_size, sidtier):
        assert all_sim_input_ids.shape == (len(input_ids), 64, 90) and sidtier.shape == (len(input_ids), 256)
        return self.table(input_ids).sum()
"""


@pytest.mark.slow
def test_both_sides_are_trained_and_asked(tmp_path: Path) -> None:
    (tmp_path / "glass").mkdir()
    (tmp_path / "glass" / "main_glass.py").write_text(STAND_IN)
    (tmp_path / "glass" / "neighbour.py").write_text("")
    table = official_glass.held(tmp_path, "cpu", 1, Sizes(batch=8, queries=(2, 1), items=300, repeats=2))
    head, _, theirs, ours, ratios = table.splitlines()
    assert head == "| | training, samples/s | 2 at a time, users/s | 1 at a time, users/s | GiB |"
    assert theirs.startswith("| official GLASS | ")
    assert ours.startswith("| glass-official | ")
    assert ratios.count(" x |") == 3


def test_ratios_say_how_many_times_as_fast_ours_is() -> None:
    sides = {official_glass.SIDE: Seen(4.0, {10: 2.0}, None), "glass-official": Seen(1.0, {10: 0.5}, 1.25)}
    lines = official_glass._table(sides, Sizes(batch=8, queries=(10,))).splitlines()
    assert lines[2:] == [
        "| official GLASS | 2 | 5 |  |",
        "| glass-official | 8 | 20 | 1.2 |",
        "| of theirs | 4.00 x | 4.00 x | |",
    ]


def test_what_is_no_official_code_is_said(tmp_path: Path) -> None:
    with pytest.raises(SkippedRun, match=r"glass/main_glass\.py is not there"):
        official_glass.held(tmp_path, "cpu", 1, Sizes())
    (tmp_path / "glass").mkdir()
    (tmp_path / "glass" / "main_glass.py").write_text("import not_installed_anywhere")
    with pytest.raises(SkippedRun, match="can't be loaded: No module named 'not_installed_anywhere'"):
        official_glass.held(tmp_path, "cpu", 1, Sizes())
