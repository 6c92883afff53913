"""Quantizers find planted structure, give the same codes again, and are run once for all who ask."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.recommender import FitContext
from models.semantic_ids import item_features, tokenizer
from models.semantic_ids.rq_kmeans import assign, rq_kmeans
from models.semantic_ids.rq_vae import RQVAEConfig, rq_vae
from models.semantic_ids.semantic_ids import SemanticIds, level_health
from models.semantic_ids.tokenizer import TokenizerConfig, record_health, tokenize

COARSE, FINE, COPIES = 6, 4, 8


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features whose coarse part is one of 6 far points and whose fine part is one of 4 near ones, and both parts."""
    rng = np.random.default_rng(0)
    coarse, fine, _ = np.meshgrid(np.arange(COARSE), np.arange(FINE), np.arange(COPIES), indexing="ij")
    coarse, fine = coarse.ravel(), fine.ravel()
    far, near = 10 * np.eye(12)[:COARSE], np.eye(12)[COARSE : COARSE + FINE]
    features = far[coarse] + near[fine] + rng.normal(0, 0.01, (len(coarse), 12))
    shuffled = rng.permutation(len(coarse))
    return features[shuffled].astype(np.float32), coarse[shuffled], fine[shuffled]


def same_partition(left: np.ndarray, right: np.ndarray) -> bool:
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    return len(pairs) == len(set(left.tolist())) == len(set(right.tolist()))


def training_data(text: bool = True) -> TrainingData:
    rng = np.random.default_rng(1)
    items = rng.integers(0, 30, 200).astype(np.int32)
    interactions = Interactions(items, np.arange(200, dtype=np.int64), np.arange(0, 201, 20, dtype=np.int64), 30)
    words = [f"word{item % 5} other{item % 3} name{item}" for item in range(30)]
    columns = pd.DataFrame({"title": words if text else [""] * 30})
    return TrainingData(interactions, ItemTable(columns, ("title",), None), False, "planted")


def test_residual_k_means_recovers_planted_coarse_and_fine_clusters() -> None:
    features, coarse, fine = planted()
    codes = rq_kmeans(features, (COARSE, FINE), seed=0)
    assert same_partition(codes[:, 0], coarse)
    assert same_partition(codes[:, 1], fine), "the second level clusters what the first left over"


def test_residual_k_means_is_deterministic_and_its_seed_matters() -> None:
    noise = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    first = rq_kmeans(noise, (8, 8), seed=0)
    assert first.dtype == np.int64
    assert np.array_equal(first, rq_kmeans(noise, (8, 8), seed=0))
    assert not np.array_equal(first, rq_kmeans(noise, (8, 8), seed=1))


def test_residual_k_means_leaves_codes_unused_where_there_are_fewer_distinct_residuals() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    codes = rq_kmeans(features, (5, 4), seed=0)
    assert same_partition(codes[:, 0], np.repeat(np.arange(3), 4))
    assert set(codes[:, 1].tolist()) == {0}


def test_a_large_catalogue_is_clustered_by_a_sample_and_all_of_it_is_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.semantic_ids.rq_kmeans._CHUNK_ITEMS", 7)
    features, coarse, fine = planted()
    codes = rq_kmeans(features, (COARSE, FINE), seed=0, fit_sample=120)
    assert codes.shape == (COARSE * FINE * COPIES, 2)
    assert same_partition(codes[:, 0], coarse)
    assert same_partition(codes[:, 1], fine), "also the items that the sample left out"
    assert np.array_equal(codes, rq_kmeans(features, (COARSE, FINE), seed=0, fit_sample=120))
    whole = rq_kmeans(features, (COARSE, FINE), seed=0)
    assert np.array_equal(rq_kmeans(features, (COARSE, FINE), seed=0, fit_sample=len(features)), whole)


def test_items_are_assigned_to_the_nearest_centre_of_what_is_left_over() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 4)).astype(np.float32)
    centres = [rng.normal(size=(n, 4)).astype(np.float32) for n in (5, 3)]
    expected = []
    for row in features.astype(np.float64):
        codes = []
        for centre in centres:
            codes.append(int(((row - centre) ** 2).sum(axis=1).argmin()))
            row = row - centre[codes[-1]]
        expected.append(codes)
    assert assign(features, centres).tolist() == expected


def test_many_equal_items_before_the_different_ones_cost_no_clusters() -> None:
    features = np.concatenate([np.ones((40, 3)), np.eye(3), [[5, 5, 5]]]).astype(np.float32)
    assert len(set(rq_kmeans(features, (5,), seed=0)[:, 0].tolist())) == 5


def small_rq_vae(seed: int = 0) -> np.ndarray:
    config = RQVAEConfig(hidden=(32,), latent=8, epochs=40, batch_size=64, check_every=10)
    return rq_vae(planted()[0], (COARSE, FINE, FINE), seed, config)


def test_the_rq_vae_uses_most_codes_of_clustered_data_and_does_not_collapse() -> None:
    codes = small_rq_vae()
    assert codes.shape == (COARSE * FINE * COPIES, 3)
    assert codes.dtype == np.int64
    for row in level_health(SemanticIds(codes, (COARSE, FINE, FINE), 3)):
        assert row["utilisation"] >= 0.75
        assert row["max_share"] < 0.6


def test_the_rq_vaes_first_code_tells_coarse_clusters_apart() -> None:
    _, coarse, _ = planted()
    first = small_rq_vae()[:, 0]
    purity = sum(np.bincount(first[coarse == cluster]).max() for cluster in range(COARSE)) / len(first)
    assert purity > 0.95
    majority = {int(np.bincount(first[coarse == cluster]).argmax()) for cluster in range(COARSE)}
    assert len(majority) >= COARSE - 1


def test_the_rq_vae_is_deterministic_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = small_rq_vae()
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(first, small_rq_vae()), "the state of the global generator makes no difference"
    assert not np.array_equal(first, small_rq_vae(seed=1))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the runs of the quantizer."""
    made: list[int] = []

    def counted(features: np.ndarray, codebook_sizes: tuple[int, ...], seed: int, fit_sample: int) -> np.ndarray:
        made.append(seed)
        return rq_kmeans(features, codebook_sizes, seed, fit_sample)

    monkeypatch.setattr(tokenizer, "rq_kmeans", counted)
    return made


def test_semantic_ids_are_made_once_and_shared(tmp_path: Path, calls: list[int]) -> None:
    config = TokenizerConfig(codebooks=(4, 4))
    first = tokenize(training_data(), config, ArtifactCache(tmp_path), shared_seed=7)
    again = tokenize(training_data(), config, ArtifactCache(tmp_path), shared_seed=7)
    assert calls == [7]
    assert np.array_equal(first.codes, again.codes)
    assert (first.semantic_levels, first.levels, first.codebook_sizes[:2]) == (2, 3, (4, 4))


def test_every_replicate_has_semantic_ids_of_its_own_unless_the_seed_is_fixed(tmp_path: Path, calls: list[int]) -> None:
    cache = ArtifactCache(tmp_path)
    for shared_seed in (7, 8, 7):
        tokenize(training_data(), TokenizerConfig(codebooks=(4, 4)), cache, shared_seed)
    assert calls == [7, 8]
    for shared_seed in (7, 8):
        tokenize(training_data(), TokenizerConfig(codebooks=(4, 4), seed=5), cache, shared_seed)
    assert calls == [7, 8, 5]


def test_the_collision_policy_is_no_reason_to_quantize_again(tmp_path: Path, calls: list[int]) -> None:
    cache = ArtifactCache(tmp_path)
    unique = tokenize(training_data(), TokenizerConfig(codebooks=(4, 4)), cache)
    shared = tokenize(training_data(), TokenizerConfig(codebooks=(4, 4), disambiguate=False), cache)
    assert len(calls) == 1
    assert np.array_equal(unique.codes[:, :2], shared.codes)
    assert (shared.semantic_levels, shared.levels, shared.codebook_sizes) == (2, 2, (4, 4))


@pytest.mark.parametrize("other", [{"seed": 1}, {"codebooks": (4, 5)}, {"features": {"text_weight": 2.0}}])
def test_whatever_can_change_the_codes_quantizes_anew(tmp_path: Path, calls: list[int], other: dict) -> None:
    for config in ({}, other):
        tokenize(
            training_data(), TokenizerConfig.model_validate({"codebooks": (4, 4)} | config), ArtifactCache(tmp_path)
        )
    assert len(calls) == 2


def test_changed_features_are_quantized_anew(tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenize(training_data(), TokenizerConfig(codebooks=(4, 4)), ArtifactCache(tmp_path))
    for module in (item_features, tokenizer):  # wherever the name is looked up
        monkeypatch.setattr(module, "FEATURES_VERSION", item_features.FEATURES_VERSION + 1, raising=False)
    tokenize(training_data(), TokenizerConfig(codebooks=(4, 4)), ArtifactCache(tmp_path))
    assert len(calls) == 2


def test_the_rq_vae_is_chosen_by_name(tmp_path: Path) -> None:
    config = {"method": "rq-vae", "codebooks": (4, 4), "rq_vae": {"hidden": (8,), "latent": 4, "epochs": 2}}
    ids = tokenize(training_data(), TokenizerConfig.model_validate(config), ArtifactCache(tmp_path))
    assert ids.n_items == 30
    assert ids.codes[:, :2].max() < 4


def test_default_codes_know_which_items_occur_together_and_text_alone_does_not(tmp_path: Path) -> None:
    """What the fidelity cards say of the features behind semantic IDs; the papers know texts alone."""
    told = training_data()
    mixed = Interactions(
        np.random.default_rng(2).permutation(told.interactions.items),
        told.interactions.timestamps,
        told.interactions.offsets,
        30,
    )
    other = TrainingData(mixed, told.item_table, False, "the same texts in other company")
    default, text = TokenizerConfig(codebooks=(6, 6)), {"codebooks": (6, 6), "features": {"collaborative_dims": 0}}
    for config, equal in ((default, False), (TokenizerConfig.model_validate(text), True)):
        codes = [tokenize(train, config, ArtifactCache(tmp_path)).codes for train in (told, other)]
        assert np.array_equal(*codes) == equal


def test_a_collapsed_first_codebook_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_of_eight = np.column_stack([np.arange(30) % 2, np.arange(30) % 8])
    monkeypatch.setattr(tokenizer, "rq_kmeans", lambda *_: two_of_eight)
    cache = ArtifactCache(tmp_path)
    with pytest.raises(ValueError, match=r"collapsed: 25% .* \(floor 30%\)"):
        tokenize(training_data(), TokenizerConfig(codebooks=(8, 8), utilisation_floor=0.3), cache)
    accepted = tokenize(training_data(), TokenizerConfig(codebooks=(8, 8), utilisation_floor=0.25), cache)
    assert np.array_equal(accepted.codes[:, :2], two_of_eight)


def test_a_codebook_larger_than_the_catalogue_is_measured_against_the_catalogue(tmp_path: Path) -> None:
    ids = tokenize(training_data(), TokenizerConfig(codebooks=(300, 4), utilisation_floor=0.9), ArtifactCache(tmp_path))
    assert len(set(ids.codes[:, 0].tolist())) >= 27


def test_random_ids_need_no_features_and_follow_their_seed(tmp_path: Path) -> None:
    def codes(seed: int) -> np.ndarray:
        config = TokenizerConfig(method="random", codebooks=(5, 3), seed=seed, disambiguate=False)
        return tokenize(training_data(text=False), config, ArtifactCache(tmp_path)).codes

    assert codes(0).shape == (30, 2)
    assert set(codes(0)[:, 0].tolist()) == set(range(5))
    assert set(codes(0)[:, 1].tolist()) == set(range(3))
    assert np.array_equal(codes(0), codes(0))
    assert not np.array_equal(codes(0), codes(1))
    assert not (tmp_path / "item_features").exists()


def test_health_goes_into_the_diagnostics_as_json(tmp_path: Path) -> None:
    config = TokenizerConfig(method="random", codebooks=(2, 2))
    cache = ArtifactCache(tmp_path)
    context = FitContext(0, "cpu", cache, lambda _: 0.0)
    ids = tokenize(training_data(), config, cache)
    record_health(ids, config, context)
    diagnostics = json.loads(json.dumps(context.diagnostics))
    assert diagnostics["sid_health"] == level_health(ids)
    found = diagnostics["sid"]
    assert found.pop("seconds") == 0.0
    assert found == {"tokenizer": "random", "n_items": 30, "unique_sids": 4, "collision_rate": 1.0}


def test_the_seconds_of_a_tokenizer_are_those_of_the_time_when_it_was_made(tmp_path: Path) -> None:
    config, cache = TokenizerConfig(codebooks=(4, 4)), ArtifactCache(tmp_path)
    first = tokenize(training_data(), config, cache)
    assert first.seconds is not None
    assert first.seconds > 0
    assert tokenize(training_data(), config, cache).seconds == first.seconds
    shared = TokenizerConfig(codebooks=(4, 4), disambiguate=False)
    assert tokenize(training_data(), shared, cache).seconds == first.seconds
    again = tokenize(training_data(), TokenizerConfig(codebooks=(4, 40), disambiguate="reassign"), cache)
    plain = tokenize(training_data(), TokenizerConfig(codebooks=(4, 40)), cache)
    assert again.seconds is not None
    assert plain.seconds is not None
    assert again.seconds > plain.seconds
