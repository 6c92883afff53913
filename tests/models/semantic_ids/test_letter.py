"""LETTER: its two losses beside naive ones, what they do to an RQ-VAE, and where its item vectors come from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from baselines.sasrec import SASRec
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.errors import BenchError
from bench.recommender import FitContext
from models.semantic_ids import item_vectors as vectors_module
from models.semantic_ids.item_vectors import ItemVectorsConfig, item_vectors
from models.semantic_ids.letter import CodeClusters, collaborative_loss, diversity_loss
from models.semantic_ids.rq_vae import LetterRQVAE, RQVAEConfig, rq_vae, standardised
from models.semantic_ids.tokenizer import TokenizerConfig, record_health, tokenize

SIZES = (4, 6)
TEACHER: dict[str, Any] = {
    "dim": 4,
    "length": 8,
    "training": {"epochs": 3, "validate_every": 1, "batch_events": 64, "learning_rate": 0.1, "warmup_steps": 0},
}


def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)


def item_side() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)


def vae(letter: dict[str, Any] | None, epochs: int = 12) -> RQVAEConfig:
    written = {"hidden": (16,), "latent": 4, "epochs": epochs, "batch_size": 16, "check_every": 4, "letter": letter}
    return RQVAEConfig.model_validate(written)


def training_data(seed: int = 1) -> TrainingData:
    items = np.random.default_rng(seed).integers(0, 30, 200).astype(np.int32)
    interactions = Interactions(items, np.arange(200, dtype=np.int64), np.arange(0, 201, 20, dtype=np.int64), 30)
    titles = pd.DataFrame({"title": [f"word{item % 5} other{item % 3} name{item}" for item in range(30)]})
    return TrainingData(interactions, ItemTable(titles, ("title",), None), False, "planted")


def tokenizer(letter: dict[str, Any] | None) -> TokenizerConfig:
    return TokenizerConfig.model_validate(
        {
            "method": "rq-vae",
            "codebooks": SIZES,
            "features": {"text_dims": 8, "collaborative_dims": 0},
            "rq_vae": vae(letter).model_dump(),
        }
    )


def naive_collaborative(quantized: list[list[float]], vectors: list[list[float]]) -> float:
    """`CF_loss` of the official rqvae.py, one item at a time: no temperature, no normalisation."""
    losses = []
    for row, own in enumerate(quantized):
        products = [sum(a * b for a, b in zip(own, other, strict=True)) for other in vectors]
        losses.append(np.log(sum(np.exp(product) for product in products)) - products[row])
    return float(np.mean(losses))


def naive_diversity(codebook: np.ndarray, codes: list[int], positives: list[int]) -> float:
    """`diversity_loss` of the official vq.py, one item at a time: its own code is no negative; temperature 1."""
    losses = []
    for code, positive in zip(codes, positives, strict=True):
        products = codebook @ codebook[code]
        others = [index for index in range(len(codebook)) if index != code]
        losses.append(np.log(np.exp(products[others]).sum()) - products[positive])
    return float(np.mean(losses))


def test_the_collaborative_loss_is_the_naive_one() -> None:
    quantized, vectors = features()[:7, :4], item_side()[:7]
    fast = collaborative_loss(torch.from_numpy(quantized), torch.from_numpy(vectors)).item()
    assert fast == pytest.approx(naive_collaborative(quantized.tolist(), vectors.tolist()), abs=1e-5)


def test_the_diversity_loss_is_the_naive_one_and_passes_over_codes_without_company() -> None:
    codebook = features()[:6, :4]
    codes, positives = [0, 3, 3, 5, 1], [2, 1, 5, 0, 4]
    table = torch.from_numpy(codebook)

    def fast(codes: list[int], positives: list[int]) -> float:
        index = torch.tensor(codes)
        return diversity_loss(table[index], table, index, torch.tensor(positives)).item()

    expected = naive_diversity(codebook.astype(np.float64), codes, positives)
    assert fast(codes, positives) == pytest.approx(expected, abs=1e-5)
    assert fast([*codes, 2], [*positives, -1]) == pytest.approx(expected, abs=1e-5)
    assert fast([2], [-1]) == 0


def test_a_positive_is_another_code_of_the_same_cluster() -> None:
    corners = torch.tensor([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.1, 9.0], [0.0, 0.1], [9.0, 9.1]])
    clusters = CodeClusters(clusters=2, seed=0)
    clusters.renew([corners])
    near = [{1, 4}, {0, 4}, {3, 5}, {2, 5}, {0, 1}, {2, 3}]
    drawn = np.array([clusters.positives(0, torch.arange(6)).tolist() for _ in range(60)])
    assert [set(drawn[:, code].tolist()) for code in range(6)] == near
    clusters = CodeClusters(clusters=6, seed=0)
    clusters.renew([corners])
    assert clusters.positives(0, torch.arange(6)).tolist() == [-1] * 6


def test_a_step_adds_the_naive_losses_with_their_weights() -> None:
    """The sum of the code vectors meets the item vectors; the diversity loss is the mean over levels."""
    data = standardised(features())
    losses = {}
    for weights in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.25), (0.5, 0.25)):
        letter = {"collaborative_weight": weights[0], "diversity_weight": weights[1], "clusters": 2}
        torch.manual_seed(0)
        config = vae(letter)
        assert config.letter is not None
        model = LetterRQVAE(10, SIZES, config, config.letter, item_side(), seed=3)
        model(data)  # k-means initialises the codebooks
        model.begin_epoch()
        model.eval()  # codebooks stand still
        losses[weights] = model.loss(data, torch.arange(40)).item()
    codes = model(data)[1]
    tables = [codebook.detach() for codebook in model.codebooks()]
    total = sum(table[codes[:, level]] for level, table in enumerate(tables))
    collaborative = naive_collaborative(total.tolist(), item_side().tolist())
    clusters = CodeClusters(2, seed=3)
    clusters.renew(tables)
    per_level = [
        naive_diversity(table.numpy(), codes[:, level].tolist(), clusters.positives(level, codes[:, level]).tolist())
        for level, table in enumerate(tables)
    ]
    plain = losses[0.0, 0.0]
    assert losses[0.5, 0.0] - plain == pytest.approx(0.5 * collaborative, abs=1e-4)
    assert losses[0.0, 0.25] - plain == pytest.approx(0.25 * float(np.mean(per_level)), abs=1e-4)
    assert losses[0.5, 0.25] - plain == pytest.approx(0.5 * collaborative + 0.25 * float(np.mean(per_level)), abs=1e-4)


def test_with_weights_of_0_it_is_the_rq_vae_bit_for_bit() -> None:
    plain = rq_vae(features(), SIZES, 0, vae(None))
    none = {"collaborative_weight": 0.0, "diversity_weight": 0.0}
    assert np.array_equal(rq_vae(features(), SIZES, 0, vae(none), item_side()), plain)
    for weight in none:
        other = rq_vae(features(), SIZES, 0, vae({**none, weight: 5.0, "clusters": 2}), item_side())
        assert not np.array_equal(other, plain), weight


def test_the_collaborative_loss_draws_code_sums_to_the_vectors() -> None:
    def loss_after(weight: float) -> float:
        config = vae({"collaborative_weight": weight, "diversity_weight": 0.0}, epochs=60)
        assert config.letter is not None
        torch.manual_seed(0)
        model = LetterRQVAE(10, (8, 8), config, config.letter, item_side(), seed=0)
        data = standardised(features())
        model(data)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(60):
            loss = model.loss(data, torch.arange(40))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        quantized = model.eval().quantizer(model.encoder(data))[0]
        return collaborative_loss(quantized, torch.from_numpy(item_side())).item()

    assert loss_after(1.0) < loss_after(0.0) - 0.3


def test_vectors_are_those_of_the_models_last_epoch_on_the_training_data(tmp_path: Path) -> None:
    train, cache = training_data(), ArtifactCache(tmp_path)
    found, seconds = item_vectors(train, ItemVectorsConfig.model_validate({"config": TEACHER}), 7, cache)
    assert found.shape == (30, 4)
    assert seconds > 0
    # One validation, after the last epoch, chooses nothing.
    once = {**TEACHER, "training": {**TEACHER["training"], "validate_every": 3}}
    model = SASRec(once)
    model.fit(train, FitContext(7, "cpu", cache, lambda _: 0.0))
    assert np.array_equal(model.item_vectors(), found)
    assert np.array_equal(model.network.items.weight.detach().numpy(), found)  # type: ignore[union-attr]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the trainings of the model that vectors come from."""
    made: list[str] = []
    original: Callable[[str], Any] = vectors_module.model_class

    def counted(name: str) -> Any:
        class Counted(original(name)):  # type: ignore[misc]
            def fit(self, train: TrainingData, context: FitContext) -> None:
                made.append(name)
                super().fit(train, context)

        return Counted

    monkeypatch.setattr(vectors_module, "model_class", counted)
    return made


def test_whatever_changes_the_vectors_makes_other_ids(tmp_path: Path, trained: list[str]) -> None:
    cache = ArtifactCache(tmp_path)
    letter = {"collaborative_weight": 5.0, "item_vectors": {"config": TEACHER}}
    first = tokenize(training_data(), tokenizer(letter), cache).codes
    assert np.array_equal(tokenize(training_data(), tokenizer(letter), cache).codes, first)
    assert trained == ["sasrec-ce"]
    longer = {**letter, "item_vectors": {"config": {**TEACHER, "length": 3}}}
    assert not np.array_equal(tokenize(training_data(), tokenizer(longer), cache).codes, first)
    # The features are texts alone: it is the vectors that know the events.
    assert not np.array_equal(tokenize(training_data(seed=2), tokenizer(letter), cache).codes, first)
    assert len(trained) == 3
    tokenize(training_data(), tokenizer({"collaborative_weight": 0.0}), cache)
    assert len(trained) == 3, "without a weight nothing is trained"


def test_the_configuration_holds_all_of_the_model_and_its_absence_nothing() -> None:
    written = tokenizer({}).model_dump(mode="json")["rq_vae"]["letter"]
    assert (written["collaborative_weight"], written["diversity_weight"], written["clusters"]) == (0.02, 1e-4, 10)
    teacher = written["item_vectors"]
    assert (teacher["model"], teacher["revision"], teacher["config"]["dim"]) == ("sasrec-ce", SASRec.revision, 32)
    assert set(teacher["config"]) == set(SASRec().config.model_dump())
    assert "letter" not in tokenizer(None).model_dump(mode="json")["rq_vae"]


def test_it_is_named_in_the_diagnostics(tmp_path: Path) -> None:
    config = tokenizer({"item_vectors": {"config": TEACHER}})
    context = FitContext(0, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)
    record_health(tokenize(training_data(), config, context.cache), config, context)
    noted = json.loads(json.dumps(context.diagnostics))["sid"]
    assert noted["tokenizer"] == "letter"
    _, of_the_vectors = item_vectors(training_data(), config.guided.item_vectors, 0, context.cache)  # type: ignore[union-attr]
    assert noted["seconds"] > of_the_vectors > 0, "the model's training counts"


def test_what_can_not_be_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="letter adds losses to method rq-vae, and fsq has none"):
        TokenizerConfig.model_validate({"method": "fsq", "rq_vae": {"letter": {}}})
    wide = tokenizer({"item_vectors": {"config": {**TEACHER, "dim": 6}}})
    with pytest.raises(BenchError, match="vectors of width 6 meet a latent of 4"):
        tokenize(training_data(), wide, ArtifactCache(tmp_path))
    counted = tokenizer({"item_vectors": {"model": "popularity"}})
    with pytest.raises(BenchError, match="'popularity' scores items by no vectors of theirs"):
        tokenize(training_data(), counted, ArtifactCache(tmp_path))
    with pytest.raises(BenchError, match="sasrec"):
        tokenizer({"item_vectors": {"model": "sasrec"}})
