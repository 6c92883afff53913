"""Sequence and semantic-ID models of the field learn: where the cause of the next item is recent, a few epochs take
each of them far above popularity.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.evaluation.metrics import compute
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, Suite

pytestmark = pytest.mark.slow

SMALL = {"length": 10, "dim": 32}
TEXT_ALONE = {"text_dims": 128, "collaborative_dims": 0}
TRAINING = {"epochs": 5, "average": 0.99}
FAST = {**TRAINING, "learning_rate": 4e-3}
ROWS: dict[str, dict[str, Any]] = {
    "sasrec-ce-compressed": {**SMALL, "training": TRAINING},
    "hstu-compressed": {**SMALL, "training": TRAINING},
    "gsasrec": {**SMALL, "negatives": 64, "dropout": 0.2, "training": {**FAST, "epochs": 15}},
    "esasrec": {**SMALL, "negatives": 64, "training": FAST},
    "lrurec": {"length": 50, "dim": 32, "training": TRAINING},
    "fuxi-alpha": {**SMALL, "training": {**FAST, "epochs": 8}},
    "cobra": {
        **SMALL,
        "tokenizer": {"codebooks": [16, 30], "features": TEXT_ALONE},
        "training": {**TRAINING, "batch_events": 512},
    },
    "rpg": {
        **SMALL,
        "feed_forward": 64,
        "tokenizer": {"codebooks": [32] * 8, "features": TEXT_ALONE},
        "training": TRAINING,
    },
    "diffgrm": {
        "short_term": 10,
        "dim": 32,
        "feed_forward": 64,
        "decoder_layers": 2,
        "tokenizer": {"codebooks": [32] * 4, "features": TEXT_ALONE},
        "batch_targets": 256,
        "targets_per_epoch": 0.3,
        "training": {"epochs": 4, "validate_every": 4, "warmup_steps": 50, "average": 0.99},
    },
}


def ndcg(model: str, config: dict[str, Any], folder: Path) -> float:
    suite = Suite(
        name="learns",
        description="",
        datasets=(DatasetSpec(name="planted-recent"),),
        models=(Entry(model=model, config=config),),
        seeds=(0,),
    )
    result: RunResult = execute(expand(suite)[0], folder, "cpu", threads=1)
    assert result.status == "complete", result.reason
    assert isinstance(result.queries, pd.DataFrame)
    return float(compute("ndcg@10", result.queries["item_rank"].to_numpy(), 100).mean())


@pytest.mark.parametrize("model", ROWS)
def test_it_is_far_above_popularity_where_the_cause_is_recent(model: str, tmp_path: Path) -> None:
    assert ndcg(model, ROWS[model], tmp_path) > 2 * ndcg("popularity", {}, tmp_path)
