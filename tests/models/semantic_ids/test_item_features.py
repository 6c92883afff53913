import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from bench.data.cache import ArtifactCache
from bench.data.dataset import Dataset, ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.data.protocols import split
from bench.errors import BenchError
from models.semantic_ids.item_features import (
    FeatureConfig,
    cooccurrences,
    embedding_values,
    item_features,
    item_texts,
    positive_pmi,
)

N_ITEMS = 12
TITLES = [
    "red fox",
    "red dog",
    "blue fox",
    "blue dog",
    "old red fox",
    "M",
    "",
    "Sci-Fi night",
    "a b c",
    "owl",
    "owl",
    "x",
]


def log(*sequences: list[int], n_items: int = N_ITEMS) -> Interactions:
    items = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    return Interactions(items=items, timestamps=np.arange(len(items)), offsets=offsets, n_items=n_items)


def table(titles=TITLES) -> ItemTable:
    columns = pd.DataFrame({"title": titles, "year": ["1995"] * len(titles)})
    return ItemTable(columns=columns, text_columns=("title",), category=None)


def training(interactions: Interactions, items: ItemTable | None = None, content_hash: str = "toy") -> TrainingData:
    return TrainingData(interactions, items or table(), exclude_seen=True, content_hash=content_hash)


@pytest.fixture
def cache(tmp_path):
    return ArtifactCache(tmp_path)


SEQUENCES = ([0, 1, 2, 3, 4, 0, 5], [6, 7, 8, 9, 6], [2, 0, 1, 3], [9, 8, 7, 6], [5, 4, 0, 1])


def test_cooccurrences_equal_a_plain_count():
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, N_ITEMS, size=length).tolist() for length in (0, 1, 7, 20, 3)]
    window = 4
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for sequence in sequences:
        for left, item in enumerate(sequence):
            for right in range(left + 1, min(left + window, len(sequence) - 1) + 1):
                if sequence[right] != item:
                    expected[item, sequence[right]] += 1
                    expected[sequence[right], item] += 1
    np.testing.assert_array_equal(cooccurrences(log(*sequences), window).toarray(), expected)


def test_a_window_longer_than_all_events_is_harmless():
    assert cooccurrences(log([0, 1]), 50).toarray()[0, 1] == 1


def test_positive_pmi_by_hand():
    counts = sp.csr_matrix(np.array([[0.0, 4, 0], [4, 0, 1], [0, 1, 0]]))
    # Without smoothing: p(0, 1) = 0.4, p(0) = 0.4, p(1) = 0.5; p(1, 2) = 0.1, p(2) = 0.1.
    plain = positive_pmi(counts, smoothing=1.0, shift=1.0).toarray()
    np.testing.assert_allclose(plain, np.log([[1, 2, 1], [2, 1, 2], [1, 2, 1]]))
    context = np.array([4, 5, 1]) ** 0.75 / (np.array([4, 5, 1]) ** 0.75).sum()
    smooth = positive_pmi(counts, smoothing=0.75, shift=1.0).toarray()
    np.testing.assert_allclose(smooth[2, 1], np.log(0.1 / (0.1 * context[1])))
    assert positive_pmi(counts, smoothing=1.0, shift=2.1).nnz == 0


def test_shape_unit_parts_and_zero_rows(cache):
    config = FeatureConfig(text_dims=5, collaborative_dims=4, collaborative_weight=2.0)
    features = item_features(training(log(*SEQUENCES)), config, cache)
    assert features.shape == (N_ITEMS, 9)
    assert features.dtype == np.float32
    text = np.linalg.norm(features[:, :5], axis=1)
    collaborative = np.linalg.norm(features[:, 5:], axis=1)
    assert text[6] == 0  # no title
    np.testing.assert_allclose(text[[0, 1, 2, 3, 4]], 1, rtol=1e-6)
    np.testing.assert_allclose(collaborative[:10], 2, rtol=1e-6)
    assert (collaborative[10:] == 0).all()  # never in training
    np.testing.assert_allclose(features[9, :5], features[10, :5], atol=1e-6)  # the same title


def test_similar_items_are_near(cache):
    train = training(log(*SEQUENCES))
    collaborative = item_features(train, FeatureConfig(text_dims=0, collaborative_dims=4), cache)
    similarity = collaborative @ collaborative.T
    together = [[6, 7, 8, 9], [0, 1, 2, 3, 4, 5]]  # no sequence mixes the two groups
    np.testing.assert_allclose(similarity[np.ix_(*together)], 0, atol=1e-6)
    assert min(similarity[np.ix_(group, group)].mean() for group in together) > 0.1
    text = item_features(train, FeatureConfig(text_dims=6, collaborative_dims=0), cache)
    assert text[0] @ text[4] > 0.5 > text[0] @ text[3]


def test_widths_are_capped_by_the_data(cache):
    config = FeatureConfig()
    features = item_features(training(log([0, 1, 2])), config, cache)
    assert 2 <= features.shape[1] <= 2 * N_ITEMS
    assert np.isfinite(features).all()


def test_the_same_in_makes_the_same_out(tmp_path):
    made = [item_features(training(log(*SEQUENCES)), FeatureConfig(), ArtifactCache(tmp_path / name)) for name in "ab"]
    np.testing.assert_array_equal(made[0], made[1])


def test_features_are_made_once_per_data_and_configuration(cache, monkeypatch):
    train = training(log(*SEQUENCES))
    first = item_features(train, FeatureConfig(), cache)
    other_data = item_features(training(log(*SEQUENCES[:3]), content_hash="other"), FeatureConfig(), cache)
    assert not np.array_equal(first, other_data)
    monkeypatch.setattr("models.semantic_ids.item_features.randomized_svd", None)
    np.testing.assert_array_equal(item_features(train, FeatureConfig(), cache), first)
    with pytest.raises(TypeError):
        item_features(train, FeatureConfig(window=3), cache)


def test_held_out_events_change_nothing(tmp_path):
    def features_with(held_out: list[int], name: str):
        sequences = [[*sequence[:-2], *held_out] for sequence in SEQUENCES]
        dataset = Dataset(
            name="toy",
            interactions=log(*sequences),
            item_table=table(),
            item_ids=np.arange(N_ITEMS).astype(str),
            user_ids=np.arange(len(SEQUENCES)).astype(str),
            seen_items="keep",
            baskets=False,
            licence="",
            source="",
            content_hash=name,
        )
        return item_features(split(dataset, "leave-one-out").train, FeatureConfig(), ArtifactCache(tmp_path / name))

    np.testing.assert_array_equal(features_with([10, 11], "one"), features_with([3, 7], "two"))


def test_template(cache):
    assert item_texts(table(["A", "B"]), "{title} ({year})") == ["A (1995)", "B (1995)"]
    assert item_texts(table(["A", "B"]), None) == ["A", "B"]
    train = training(log(*SEQUENCES))
    by_title = item_features(train, FeatureConfig(collaborative_dims=0), cache)
    by_year = item_features(train, FeatureConfig(collaborative_dims=0, text_template="{year}"), cache)
    assert by_title.shape[1] > by_year.shape[1] == 1


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{titel}", "unknown column in text_template 'titel': did you mean title"),
        ("{}", "unknown column in text_template ''"),
        ("{title", "text_template '{title': "),
        ("{title:d}", "text_template '{title:d}': "),
    ],
)
def test_bad_template(template, message):
    with pytest.raises(BenchError, match=message):
        item_texts(table(), template)


def test_data_without_text_use_the_collaborative_part_alone(cache):
    bare = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None)
    features = item_features(training(log(*SEQUENCES), bare), FeatureConfig(collaborative_dims=3), cache)
    assert features.shape == (N_ITEMS, 3)


def test_nothing_to_make_features_of(cache):
    with pytest.raises(BenchError, match="both 0"):
        item_features(training(log(*SEQUENCES)), FeatureConfig(text_dims=0, collaborative_dims=0), cache)
    bare = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None)
    with pytest.raises(BenchError, match="no text and no item co-occurs"):
        item_features(training(log([0], [1]), bare), FeatureConfig(), cache)


def test_sentence_transformers_absent(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    config = FeatureConfig(text_encoder="sentence-transformers")
    with pytest.raises(BenchError, match=r"pip install 'glass-bench\[text\]'"):
        item_features(training(log(*SEQUENCES)), config, cache)


def test_sentence_transformers_present(cache, monkeypatch):
    seen = []

    class FakeEncoder:
        def __init__(self, name, device):
            if name == "absent":
                raise OSError("absent is not a model\nmore")

        def encode(self, texts, **options):
            seen.extend(texts)
            return np.random.default_rng(0).normal(size=(len(texts), 8)).astype(np.float32)

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=FakeEncoder))
    config = FeatureConfig(text_encoder="sentence-transformers", text_dims=3, collaborative_dims=0)
    assert item_features(training(log(*SEQUENCES)), config, cache).shape == (N_ITEMS, 3)
    assert seen == TITLES
    with pytest.raises(BenchError, match=r"'absent' can't be loaded: absent is not a model$"):
        item_features(training(log(*SEQUENCES)), config.model_copy(update={"sentence_transformer": "absent"}), cache)


def with_embeddings(embeddings) -> TrainingData:
    return training(log(*SEQUENCES), replace(table(), embeddings=embeddings), content_hash="with embeddings")


SHIPPED = np.random.default_rng(3).integers(-127, 128, (N_ITEMS, 6)).astype(np.int8)
SHIPPED[4] = 0  # an item without an embedding


def test_shipped_embeddings_are_a_third_part_of_unit_rows(cache):
    config = FeatureConfig(text_dims=5, collaborative_dims=4, embedding_weight=3.0)
    features = item_features(with_embeddings(SHIPPED), config, cache)
    without = item_features(training(log(*SEQUENCES)), config, cache)
    np.testing.assert_array_equal(features[:, :9], without)
    expected = SHIPPED / np.maximum(np.linalg.norm(SHIPPED.astype(float), axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(features[:, 9:], 3 * expected, rtol=1e-5)
    assert (features[4, 9:] == 0).all()


def test_shipped_embeddings_alone_are_not_stored_again(cache):
    config = FeatureConfig(text_dims=0, collaborative_dims=0)
    features = item_features(with_embeddings(SHIPPED), config, cache)
    assert features.shape == (N_ITEMS, 6)
    assert features.dtype == np.float32
    assert not cache.folder.joinpath("item_features").exists()


def test_embeddings_of_zero_dims_are_left_out(cache):
    config = FeatureConfig(text_dims=5, embedding_dims=0)
    left_out = item_features(with_embeddings(SHIPPED), config, cache)
    np.testing.assert_array_equal(left_out, item_features(training(log(*SEQUENCES)), config, cache))
    with pytest.raises(BenchError, match="both 0"):
        item_features(
            with_embeddings(SHIPPED), FeatureConfig(text_dims=0, collaborative_dims=0, embedding_dims=0), cache
        )


def test_quantised_values_are_int8_by_127_and_floats_stay():
    np.testing.assert_array_equal(embedding_values(np.array([[127, -127, 1]], np.int8)), np.float32([[1, -1, 1 / 127]]))
    np.testing.assert_array_equal(embedding_values(np.float32([[0.5, 2]])), np.float32([[0.5, 2]]))


@pytest.mark.parametrize("chunk", [5, 100])
def test_wide_embeddings_are_reduced_as_by_a_singular_value_decomposition(cache, monkeypatch, chunk):
    monkeypatch.setattr("models.semantic_ids.item_features.CHUNK_ITEMS", chunk)
    config = FeatureConfig(text_dims=0, collaborative_dims=0, embedding_dims=2)
    features = item_features(with_embeddings(SHIPPED), config, cache)
    unit = SHIPPED / np.maximum(np.linalg.norm(SHIPPED.astype(float), axis=1, keepdims=True), 1e-9)
    left, strengths, _ = np.linalg.svd(unit, full_matrices=False)
    expected = left[:, :2] * strengths[:2]
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    # Directions have no sign of their own: compare what doesn't depend on it.
    np.testing.assert_allclose(features @ features.T, expected @ expected.T, atol=1e-5)
    assert (features[4] == 0).all()
