"""Searches in this process, over models whose validation is known beforehand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from searching import in_this_process

from bench.registry import BUILT_IN
from bench.tuning import trial, tuner

collect_ignore = (
    ["test_sampler.py", "test_tuner.py", "test_tune_cli.py"] if not importlib.util.find_spec("optuna") else []
)
"""Optuna is optional."""


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tiny_ml_100k: None) -> None:
    """Registers the models of `searched_models.py`, and makes trials in this process.

    The e-th validation of a model is `quality * e / 10`, whatever it recommends.
    """
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for name in ("Searched", "Moody", "Misspelt", "WithoutEpochs"):
        monkeypatch.setitem(BUILT_IN, name.lower(), f"searched_models:{name}")
    monkeypatch.setattr(trial, "validation_ndcg", lambda model, queries: model.config.quality * model.epoch / 10)
    monkeypatch.setattr(tuner, "run_all", in_this_process)
