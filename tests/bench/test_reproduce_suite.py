"""The suite of published figures: every figure is shown, explained and plausible; absent data are skipped rows."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.execution.worker import execute
from bench.plan import expand, select
from bench.recommender import FitContext
from bench.registry import model_class
from bench.suite_files import load_suite

SUITE = load_suite("reproduce")
FIGURES = [
    (entry, label, figure) for entry in SUITE.models for label, figures in entry.published.items() for figure in figures
]


def test_every_figure_belongs_to_a_data_set_on_which_its_row_runs(tiny_ml_100k: None) -> None:
    runs = {(run.label, run.dataset.label) for run in expand(SUITE)}
    assert {(entry.row, label) for entry, label, _ in FIGURES} <= runs


def test_every_figure_has_a_source_and_says_what_differs() -> None:
    for entry, label, figure in FIGURES:
        assert figure.source
        assert figure.why.endswith(".")
        assert figure.trend == (label == "ml-1m-order" or entry.row.startswith("tiger-collaborative"))


def test_published_values_are_possible() -> None:
    """NDCG is below recall at the same cut-off, and no metric falls with the cut-off: a slip of the pen would show."""
    rows: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for entry, label, figure in FIGURES:
        rows[entry.row, label][figure.metric] = figure.value
    for values in rows.values():
        assert values["ndcg@10"] < values["recall@10"]
        if "recall@5" in values:
            assert values["ndcg@5"] < values["recall@5"] < values["recall@10"]
            assert values["ndcg@5"] < values["ndcg@10"]


def test_seen_items_are_candidates_where_the_published_evaluation_keeps_them() -> None:
    labels = {"ml-100k+keep", "beauty+keep", "beauty+exclude", "ml-1m-order", "ml-1m"}
    assert {dataset.label for dataset in SUITE.datasets} == labels
    of_beauty = {(entry.model, label) for entry, label, _ in FIGURES if label.startswith("beauty")}
    kept = {("tiger", "beauty+keep")}
    assert of_beauty == kept | {("gru4rec", "beauty+exclude"), ("sasrec-bce", "beauty+exclude")}


def test_rows_without_their_data_are_skipped_and_say_what_to_put_where(tiny_ml_100k: None, tmp_path: Path) -> None:
    runs = expand(select(SUITE, models=["popularity"], seeds=[0]))
    assert {run.dataset.label for run in runs} == {"beauty+keep", "beauty+exclude", "ml-1m-order", "ml-1m"}
    for run in runs:
        result = execute(run, tmp_path, "cpu", threads=1)
        assert result.status == "skipped"
        assert result.reason.startswith(f"{run.dataset.name} is not on this machine: ")


def text_only_row() -> dict[str, Any]:
    """The configuration of the row that has TIGER's tokenizer, complete."""
    entry = next(entry for entry in SUITE.models if entry.row == "tiger-text-rq-vae")
    assert entry.model == "tiger"
    return model_class("tiger")(entry.config).config.model_dump()


def test_a_row_has_tigers_tokenizer() -> None:
    """RQ-VAE of texts alone with the widths, codebooks and commitment of arXiv 2305.05065, section 4."""
    tokenizer = text_only_row()["tokenizer"]
    assert (tokenizer["method"], tokenizer["codebooks"], tokenizer["disambiguate"]) == ("rq-vae", (256, 256, 256), True)
    assert tokenizer["features"]["collaborative_dims"] == 0
    assert tokenizer["features"]["text_dims"] > 0
    vae = tokenizer["rq_vae"]
    assert (vae["hidden"], vae["latent"], vae["beta"], vae["batch_size"]) == ((512, 256, 128), 32, 0.25, 1024)
    published = next(entry for entry in SUITE.models if entry.row == "tiger-text-rq-vae").published["beauty+keep"]
    assert all(f"{vae['epochs']} epochs and not 20,000" in figure.why for figure in published)


def test_that_row_learns_from_texts_alone(tmp_path: Path) -> None:
    """A world of two halves: who bought what together is exchanged, and the semantic IDs stay as they are."""
    fitted = []
    for name, order in (("one", range(12)), ("other", [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])):
        cycle = np.array([*order] * 2, dtype=np.int32)
        items = np.concatenate([np.roll(cycle, start) for start in range(12)])
        offsets = np.arange(13, dtype=np.int64) * len(cycle)
        interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, 12)
        titles = pd.DataFrame({"title": [f"kind{item // 3} name{item}" for item in range(12)]})
        train = TrainingData(interactions, ItemTable(titles, ("title",), None), False, name)
        config = text_only_row()
        config["tokenizer"]["rq_vae"]["epochs"] = 3
        config["tokenizer"]["utilisation_floor"] = 0.0
        config["network"] = {"dim": 16, "heads": 2, "feed_forward": 32, "encoder_layers": 1, "decoder_layers": 1}
        config["training"] |= {"epochs": 2, "batch_events": 64, "validate_every": 1}
        model = model_class("tiger")(config)
        context = FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0)
        model.fit(train, context)
        history = Histories(items[:5], np.arange(5, dtype=np.int64), np.array([0, 5]), 12, exclude_seen=False)
        assert sorted(model.recommend(history, k=12).items[0].tolist()) == list(range(12))
        assert context.diagnostics["sid"]["tokenizer"] == "rq-vae"
        fitted.append(model)
    codes = [model.network.codes for model in fitted]
    assert codes[0].shape == (12, 4), "three levels and the disambiguation token"
    assert len(codes[0].unique(dim=0)) == 12
    assert torch.equal(*codes)
