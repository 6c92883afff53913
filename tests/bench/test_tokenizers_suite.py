"""The suite `tokenizers`: every row's tokenizer fits the catalogue of every data set, and makes what its name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.config import with_values
from bench.data.cache import ArtifactCache
from bench.data.catalog import load_dataset
from bench.data.protocols import split
from bench.plan import _first_run
from bench.registry import class_of
from bench.spec import DatasetSpec
from bench.suite_files import load_suite
from models.semantic_ids.tokenizer import TokenizerConfig, tokenize

SUITE = load_suite("tokenizers")
KINDS = ("rq-kmeans", "rq-vae", "letter", "gaoq", "fsq", "reassigned", "random")
QUICK = {"rq_vae.epochs": 2, "rq_vae.check_every": 2, "utilisation_floor": 0.0}
SHORT_TEACHER = {"rq_vae.letter.item_vectors.config.training.epochs": 1}


def configured(row: str, dataset: DatasetSpec) -> TokenizerConfig:
    """The tokenizer of a row, trained for as long as it takes to see that it runs."""
    entry = next(entry for entry in SUITE.models if entry.row == row)
    written = _first_run(entry, class_of, dataset, "", [], "").config["tokenizer"]
    return TokenizerConfig.model_validate(
        with_values(written, QUICK | (SHORT_TEACHER if "letter" in written["rq_vae"] else {}))
    )


def test_both_models_have_each_tokenizer() -> None:
    rows = [entry.row for entry in SUITE.models]
    assert rows == ["popularity", *(f"{model}-{kind}" for model in ("tiger", "glass") for kind in KINDS)]
    for dataset in SUITE.datasets:
        configs = [configured(f"tiger-{kind}", dataset) for kind in KINDS]
        assert configs == [configured(f"glass-{kind}", dataset) for kind in KINDS]
        assert len({config.codebooks for config in configs}) == 1, "equal codebooks, so that bits are equal, too"
        assert [config.method for config in configs] == [
            *("rq-kmeans", "rq-vae", "rq-vae", "gaoq", "fsq", "rq-kmeans", "random"),
        ]
        assert [config.rq_vae.letter is not None for config in configs] == [kind == "letter" for kind in KINDS]


@pytest.mark.parametrize("name", ["planted-long", pytest.param("ml-100k", marks=pytest.mark.slow)])
def test_every_tokenizer_fits_the_catalogue(name: str, tmp_path: Path) -> None:
    dataset = next(dataset for dataset in SUITE.datasets if dataset.name == name)
    train = split(load_dataset(name, dataset.files), dataset.protocol).train
    cache = ArtifactCache(tmp_path)
    for kind in KINDS:
        ids = tokenize(train, configured(f"tiger-{kind}", dataset), cache)
        unique = len(np.unique(ids.codes, axis=0))
        assert unique == ids.n_items, kind
        assert ids.semantic_levels == 3, kind
        assert (ids.levels == 3) == (kind in ("gaoq", "reassigned")), kind
