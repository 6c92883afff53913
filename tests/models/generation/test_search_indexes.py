"""The index that a network searches: one for each ragged array, for as long as the array is in use."""

import gc

import numpy as np
import torch

from models.generation.retrieved_items import SearchIndexes
from models.history.long_term import RaggedItems


def events_of(seed: int) -> RaggedItems:
    items = np.random.default_rng(seed).integers(0, 6, 30).astype(np.int32)
    return RaggedItems.from_arrays(items, np.array([0, 10, 30]), "cpu")


def test_the_index_of_training_events_outlives_the_queries_of_a_validation() -> None:
    """A recorded step reads its memory: made anew elsewhere, it would read what others have written there."""
    indexes, codes = SearchIndexes(), torch.arange(6)
    training = events_of(0)
    index = indexes.of(training, codes, 6)
    for seed in range(1, 4):
        assert indexes.of(events_of(seed), codes, 6) is not index
    assert indexes.of(training, codes, 6) is index


def test_an_index_goes_with_its_events() -> None:
    indexes = SearchIndexes()
    training = events_of(0)
    indexes.of(training, torch.arange(6), 6)
    assert len(indexes._indexes) == 1
    del training
    gc.collect()
    assert len(indexes._indexes) == 0
