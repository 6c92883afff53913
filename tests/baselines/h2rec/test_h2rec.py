"""H2Rec: its two branches and its alignments written out in loops, its ablations, and the way to SASRec and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_network import randomise
from pydantic import ValidationError
from sklearn.decomposition import PCA
from torch import Tensor

from baselines import next_item
from baselines.h2rec.alignment import alignment_loss, common_prefix, lightest_half
from baselines.h2rec.model import H2Rec
from baselines.h2rec.network import H2RecConfig, H2RecNetwork, principal_components
from baselines.sasrec import SASRec, SASRecConfig, SASRecNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.semantic_ids.item_features import item_features
from models.semantic_ids.semantic_ids import SemanticIds
from models.training.windows import WindowBatch

N_ITEMS, LENGTH, DIM, LEVELS = 10, 6, 8, 3
SMALL: dict[str, Any] = {"length": LENGTH, "dim": DIM, "heads": 2, "blocks": 2, "dropout": 0.0}
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7], [2, 8, 3]]
USERS = [0, 1, 2, 1]
BRANCHES = {"both": {}, "sid only": {"hash_branch": False}, "hash only": {"sid_branch": False}}

each_branch = pytest.mark.parametrize("config", BRANCHES.values(), ids=BRANCHES)


def semantic_ids() -> SemanticIds:
    codes = np.random.default_rng(3).integers(0, (3, 2, 2), (N_ITEMS, LEVELS))
    codes[8], codes[9] = codes[2], codes[1]
    return SemanticIds(codes, (3, 2, 2), LEVELS)


def network_of(**config: Any) -> H2RecNetwork:
    torch.manual_seed(0)
    checked = H2RecConfig.model_validate(SMALL | config)
    network = H2RecNetwork(N_ITEMS, semantic_ids() if checked.sid_branch else None, checked)
    randomise(network)
    return network.eval()


def padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])


def hidden_of(network: H2RecNetwork, rows: list[list[int]]) -> Tensor:
    return network(padded(rows), torch.zeros(len(rows), LENGTH, dtype=torch.long))


def batch_of(rows: list[list[int]], users: list[int]) -> WindowBatch:
    items = padded(rows)
    targets = torch.where(items == PAD, PAD, (items + 3) % N_ITEMS)
    kept = (torch.arange(LENGTH) + 1).expand_as(items)
    return WindowBatch(
        torch.tensor(users), torch.zeros(len(rows), dtype=torch.long), items, torch.zeros_like(items), targets, kept
    )


def naive_weights(network: H2RecNetwork, item: int) -> np.ndarray:
    logits = np.linspace(1.0, 0.2, LEVELS)  # `_init_cross_attention` in the official models/DualTrisRec.py
    if network.items is None:
        logits = logits + _array(network.semantic.shared)
    else:
        inner, _, outer = network.semantic.gate
        seen = np.maximum(_array(inner.weight) @ _array(network.items.weight)[item] + _array(inner.bias), 0)
        logits = logits + _array(outer.weight) @ seen + _array(outer.bias)
    return np.exp(logits) / np.exp(logits).sum()


def naive_fused(network: H2RecNetwork, item: int, masked: set[int] = frozenset()) -> np.ndarray:
    total, weights = np.zeros(DIM), naive_weights(network, item)
    for level, code in enumerate(semantic_ids().codes[item]):
        read = (
            _array(network.mask)[level] if level in masked else _array(network.semantic.embedding.tables[level])[code]
        )
        total += weights[level] * read
    return total


def naive_injection(network: H2RecNetwork, row: list[int], place: int) -> np.ndarray:
    """What the event at `place` reads: attention over a Python list of the hash vectors so far, level by level."""
    positions, hashed = _array(network.positions.weight), _array(network.items.weight)
    weights, total = naive_weights(network, row[place]), np.zeros(DIM)
    for level, attention in enumerate(network.injection):
        code = semantic_ids().codes[row[place], level]
        query = _array(attention.query.weight) @ (
            _array(network.semantic.embedding.tables[level])[code] + positions[place]
        )
        sides = [_array(attention.key_value.weight) @ (hashed[row[p]] + positions[p]) for p in range(place + 1)]
        read = []
        for head in range(2):
            part = slice(head * DIM // 2, (head + 1) * DIM // 2)
            scores = np.array([query[part] @ side[:DIM][part] for side in sides]) / np.sqrt(DIM // 2)
            share = np.exp(scores) / np.exp(scores).sum()
            read.append(sum(s * side[DIM:][part] for s, side in zip(share, sides, strict=True)))
        out = _array(attention.out.weight) @ np.concatenate(read) + _array(attention.out.bias)
        total += weights[level] * out
    return total


def backbone(network: H2RecNetwork, vectors: list[np.ndarray]) -> np.ndarray:
    """What SASRec, whose items are the events themselves, makes of `vectors`: `[length, dim]`."""
    sasrec = SASRecNetwork(len(vectors), SASRecConfig.model_validate(SMALL)).eval()
    own = {name: value for name, value in network.state_dict().items() if name in sasrec.state_dict()}
    sasrec.load_state_dict(own | {"items.weight": torch.tensor(np.array(vectors), dtype=torch.float32)})
    events = torch.arange(len(vectors)).unsqueeze(0)
    return _array(sasrec(events, events)[0])


@each_branch
@torch.no_grad()
def test_hidden_states_and_scores_are_those_of_two_branches_written_out(config: dict[str, Any]) -> None:
    network = network_of(**config)
    for row, states in zip(ROWS, hidden_of(network, ROWS), strict=True):
        branches, tables = [], []
        if network.items is not None:
            hashed = _array(network.items.weight)
            injected = [naive_injection(network, row, p) if network.semantic else 0.0 for p in range(len(row))]
            branches.append(
                backbone(network, [hashed[item] + extra for item, extra in zip(row, injected, strict=True)])
            )
            tables.append(hashed)
        if network.semantic is not None:
            branches.append(backbone(network, [naive_fused(network, item) for item in row]))
            tables.append(np.array([naive_fused(network, item) for item in range(N_ITEMS)]))
        np.testing.assert_allclose(states[: len(row)].numpy(), np.concatenate(branches, axis=1), atol=2e-5)
        scores = sum(branch[-1] @ table.T for branch, table in zip(branches, tables, strict=True))
        np.testing.assert_allclose(network.scores(states[len(row) - 1]).numpy(), scores, atol=1e-4)


@torch.no_grad()
def test_level_weights_come_from_the_hash_vector_and_favour_coarse_levels() -> None:
    network = network_of()
    every = torch.arange(N_ITEMS)
    expected = [naive_weights(network, item) for item in range(N_ITEMS)]
    weights = network.semantic.weights(every, network.items)
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-6)
    assert not torch.allclose(weights[2], weights[8]), "items of equal codes differ by their hash vectors"
    for parameter in network.semantic.gate.parameters():
        parameter.zero_()
    ungated = network.semantic.weights(every, network.items)
    assert (ungated.diff(dim=1) < 0).all()
    torch.testing.assert_close(ungated, ungated[:1].expand_as(ungated))


@each_branch
@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones(config: dict[str, Any]) -> None:
    network = network_of(**config)
    before = hidden_of(network, ROWS[:1])[0]
    for place in range(LENGTH):
        changed = [*ROWS[0]]
        changed[place] = 0
        moved = (hidden_of(network, [changed])[0] - before).unflatten(1, (-1, DIM)).abs().amax(-1) > 1e-5
        for branch in moved.T:
            assert branch.tolist() == [False] * place + [True] * (LENGTH - place)


@each_branch
@torch.no_grad()
def test_padding_and_company_do_not_matter(config: dict[str, Any]) -> None:
    network = network_of(**config)
    together = hidden_of(network, ROWS)
    for row, states in zip(ROWS, together, strict=True):
        alone = network(torch.tensor([row]), torch.zeros(1, len(row), dtype=torch.long))[0]
        torch.testing.assert_close(alone, states[: len(row)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_items_of_one_semantic_id_are_told_apart_by_the_hash_branch_alone() -> None:
    alike = [(2, 8), (1, 9)]
    for config, equal in ((BRANCHES["sid only"], True), (BRANCHES["both"], False)):
        network = network_of(**config)
        scores = network.scores(hidden_of(network, ROWS[:1])[0, -1])
        for one, other in alike:
            # How a product is divided among threads decides the last bit.
            assert torch.allclose(scores[one], scores[other], rtol=0, atol=1e-5) == equal


def test_without_the_sid_branch_it_is_sasrec_to_the_last_bit(tmp_path: Path) -> None:
    config = {**SMALL, "dropout": 0.2, "training": {"epochs": 3, "batch_events": 30, "warmup_steps": 2}}
    plain, ours = SASRec(config), H2Rec(config | {"sid_branch": False, "hash_init": "random"})
    told = context(tmp_path)
    for model in (plain, ours):
        model.fit(cycles(), told if model is ours else context(tmp_path))
    assert plain.network.state_dict().keys() == ours.network.state_dict().keys()
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, ours.network.state_dict()[name]), name
    answers = [model.recommend(histories_of([[1, 2], [8, 7, 6, 5, 4], []]), k=4) for model in (plain, ours)]
    assert np.array_equal(answers[0].items, answers[1].items)
    assert np.array_equal(answers[0].scores, answers[1].scores)
    assert not told.diagnostics, "nothing was tokenized"


def unfitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **config: Any) -> H2RecNetwork:
    """The network as `fit` hands it to training."""
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    H2Rec(SMALL | {"tokenizer": TOKENIZER} | config).fit(titled(), context(tmp_path))
    return handed[1]


def naive_components(features: np.ndarray, dims: int) -> np.ndarray:
    """What the official code calls (data/pca.ipynb): scikit-learn's PCA with no other argument. Signs are free."""
    return PCA(n_components=dims, svd_solver="full").fit_transform(features.astype(np.float64))


@pytest.mark.parametrize("branches", [{}, {"sid_branch": False}], ids=["both", "hash only"])
def test_hash_vectors_begin_as_principal_components_of_the_item_features(
    branches: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: `_init_hash_embedding` of the official code reads what PCA(128).fit_transform made of text embeddings."""
    features = {"collaborative_dims": 0, "text_weight": 0.7}
    tokenizer = TOKENIZER | {"features": features}
    network = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer, dim=4, **branches)
    settings = H2RecConfig.model_validate({"tokenizer": tokenizer}).tokenizer.features
    own = item_features(titled(), settings, ArtifactCache(tmp_path))
    assert own.shape[1] > 4
    expected = naive_components(own, 4)
    begun = network.items.weight.detach().numpy()
    np.testing.assert_allclose(np.abs(begun), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(begun @ begun.T, expected @ expected.T, atol=1e-5)
    assert network.items.weight.requires_grad, "trained further, as in the official code"


def test_dimensions_that_the_features_lack_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = TOKENIZER | {"features": {"collaborative_dims": 0, "text_dims": 3}}
    begun = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer).items.weight.detach()
    drawn = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer, hash_init="random").items.weight.detach()
    assert begun.shape == drawn.shape == (N_ITEMS, DIM)
    assert torch.equal(begun[:, 3:], drawn[:, 3:])
    assert not torch.isclose(begun[:, :3], drawn[:, :3]).any()


@pytest.mark.parametrize("weight", [0.1, 3.0])
def test_components_are_neither_whitened_nor_scaled(weight: float) -> None:
    features = weight * np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    components = principal_components(features, 4)
    assert components.dtype == np.float32
    np.testing.assert_allclose(np.abs(components), np.abs(naive_components(features, 4)), atol=1e-4)
    assert np.array_equal(components, principal_components(features, 4))
    assert principal_components(features[:3], 9).shape == (3, 3), "no more axes than items"


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 9)),
    dims=st.integers(1, 10),
    rank=st.integers(0, 3),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_components_of_any_features_are_uncorrelated_and_keep_what_pca_keeps(
    shape: tuple[int, int], dims: int, rank: int, seed: int
) -> None:
    """Also of items that are all alike, of fewer items than dimensions, and of features of low rank."""
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1])) + 1).astype(np.float32)
    components = principal_components(features, dims)
    assert components.shape == (shape[0], min(dims, *shape[::-1]))
    assert np.isfinite(components).all()
    moments = components.T.astype(np.float64) @ components
    singular = np.linalg.svd(features - features.mean(0), compute_uv=False)
    expected = np.zeros(components.shape[1])
    expected[: len(singular)] = singular[: len(expected)] ** 2
    np.testing.assert_allclose(moments, np.diag(expected), atol=1e-3)


def test_a_catalogue_without_texts_begins_from_what_occurs_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    config = SMALL | {"tokenizer": TOKENIZER}
    H2Rec(config).fit(cycles(), context(tmp_path))
    own = item_features(cycles(), H2RecConfig.model_validate(config).tokenizer.features, ArtifactCache(tmp_path))
    width = min(own.shape[1], DIM)
    begun = handed[1].items.weight.detach().numpy()[:, :width]
    expected = naive_components(own, width)
    np.testing.assert_allclose(begun @ begun.T, expected @ expected.T, atol=1e-5)


def test_the_hash_branch_begins_as_sasrec() -> None:
    torch.manual_seed(4)
    plain = SASRecNetwork(N_ITEMS, SASRecConfig.model_validate(SMALL)).eval()
    torch.manual_seed(4)
    ours = H2RecNetwork(N_ITEMS, semantic_ids(), H2RecConfig.model_validate(SMALL)).eval()
    times = torch.zeros(len(ROWS), LENGTH, dtype=torch.long)
    assert torch.equal(ours(padded(ROWS), times)[..., :DIM], plain(padded(ROWS), times))


@torch.no_grad()
def test_item_alignment_is_the_weighted_loss_over_the_items_of_the_batch() -> None:
    network, codes, items, temperature = network_of(), semantic_ids().codes, [0, 1, 2, 5, 8, 9], 0.7
    hashed = [_array(network.items.weight)[item] for item in items]
    fused = [naive_fused(network, item) for item in items]
    weights = [[prefix_share(codes[one], codes[other]) for other in items] for one in items]
    assert weights[2][4] == 1.0, "an item of the same codes is as good a positive as the item itself"
    assert any(0 < weight < 1 for row in weights for weight in row)
    loss = network.item_alignment(torch.tensor(items), temperature).item()
    assert loss == pytest.approx(naive_alignment(hashed, fused, weights, temperature), abs=1e-5)


@pytest.mark.parametrize("config", [BRANCHES["both"], BRANCHES["sid only"]], ids=["both", "sid only"])
@torch.no_grad()
def test_user_alignment_contrasts_windows_with_their_masked_versions(config: dict[str, Any]) -> None:
    network = network_of(**config)
    masked_views, full_views, choices = [], [], []
    for row in ROWS:
        mean = np.mean([naive_weights(network, item) for item in row], axis=0)
        choices.append(int(mean.argmin()))  # one of three levels is the half that is masked
        masked_views.append(backbone(network, [naive_fused(network, item, {choices[-1]}) for item in row])[-1])
        full_views.append(backbone(network, [naive_fused(network, item) for item in row])[-1])
    assert len(set(choices)) > 1 or network.items is None, "windows differ in what is masked"
    same_user = [[float(one == other) for other in USERS] for one in USERS]
    loss = network.user_alignment(batch_of(ROWS, USERS), hidden_of(network, ROWS), 0.7).item()
    assert loss == pytest.approx(naive_alignment(masked_views, full_views, same_user, 0.7), abs=1e-4)


ABLATIONS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "all": ({"item_alignment": 0.3, "user_alignment": 0.2}, (0.3, 0.2)),
    "no item alignment": ({"item_alignment": 0.0, "user_alignment": 0.2}, (0.0, 0.2)),
    "no user alignment": ({"item_alignment": 0.3, "user_alignment": 0.0}, (0.3, 0.0)),
    "sid only": ({"item_alignment": 0.3, "user_alignment": 0.2, "hash_branch": False}, (0.0, 0.2)),
    "hash only": ({"item_alignment": 0.3, "user_alignment": 0.2, "sid_branch": False}, (0.0, 0.0)),
}


@pytest.mark.parametrize(("config", "weights"), ABLATIONS.values(), ids=ABLATIONS)
def test_the_loss_is_cross_entropy_plus_the_weighted_alignments(
    config: dict[str, Any], weights: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    H2Rec(SMALL | config | {"temperature": 0.7, "tokenizer": TOKENIZER}).fit(cycles(), context(tmp_path))
    network, loss, batch = handed[1], handed[3], batch_of(ROWS, USERS)
    hidden = hidden_of(network, ROWS)
    wanted = batch.targets != PAD
    expected = F.cross_entropy(network.scores(hidden[wanted]), batch.targets[wanted])
    if weights[0]:
        expected = expected + weights[0] * network.item_alignment(batch.targets[wanted].unique(), 0.7)
    if weights[1]:
        expected = expected + weights[1] * network.user_alignment(batch, hidden, 0.7)
    value = loss(batch)
    torch.testing.assert_close(value, expected)
    value.backward()
    idle = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not idle, "every parameter is trained"


def test_the_state_before_a_targets_basket_predicts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    config = {"item_alignment": 0.0, "user_alignment": 0.0, "tokenizer": TOKENIZER}
    H2Rec(SMALL | config).fit(cycles(), context(tmp_path))
    network, loss, batch = handed[1], handed[3], batch_of(ROWS[:1], USERS[:1])
    batch.kept[:] = torch.tensor([1, 2, 2, 2, 5, 6])
    states = hidden_of(network, ROWS[:1])[0, [0, 1, 1, 1, 4, 5]]
    torch.testing.assert_close(loss(batch), F.cross_entropy(network.scores(states), batch.targets[0]))


@each_branch
def test_a_cycle_is_learnt_by_either_branch_and_by_both(config: dict[str, Any], tmp_path: Path) -> None:
    training = {"epochs": 15, "batch_events": 48, "warmup_steps": 0, "learning_rate": 0.02, "average": 0.0}
    model = H2Rec({**SMALL, **config, "tokenizer": TOKENIZER | {"codebooks": (20, 20)}, "training": training})
    told = context(tmp_path)
    model.fit(cycles(), told)
    answer = model.recommend(histories_of([[0, 1, 2], [8, 9], [4, 5, 6, 7, 8]]), k=1)
    assert answer.items[:, 0].tolist() == [3, 0, 9]
    assert answer.sids is None
    assert model.sid_of_item is None
    assert ("sid_health" in told.diagnostics) == model.config.sid_branch
    assert "decoding" not in told.diagnostics, "it generates no semantic IDs"


def test_the_constants_that_the_card_calls_the_official_ones() -> None:
    """Official code: `_setup_infonce` and `_setup_view_consistency` in models/DualTrisRec.py, options in main.py."""
    config = H2RecConfig()
    assert (config.item_alignment, config.user_alignment, config.temperature) == (0.1, 0.1, 0.5)
    assert (config.dim, config.blocks, config.hash_init) == (64, 2, "features")
    prior = H2RecNetwork(N_ITEMS, semantic_ids(), config).semantic.prior
    np.testing.assert_allclose(prior, [1.0, 0.6, 0.2], atol=1e-6)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave one of them on"):
        H2Rec({"sid_branch": False, "hash_branch": False})


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_the_common_prefix_ends_at_the_first_difference(codes: list[tuple[int, ...]]) -> None:
    expected = [[prefix_share(one, other) for other in codes] for one in codes]
    np.testing.assert_allclose(common_prefix(torch.tensor(codes)).numpy(), expected, atol=1e-6)


def test_the_lightest_half_is_rounded_down_and_never_everything() -> None:
    assert lightest_half(torch.tensor([[0.2, 0.1, 0.4, 0.3]])).tolist() == [[True, True, False, False]]
    assert lightest_half(torch.tensor([[0.5, 0.1, 0.4]])).tolist() == [[False, True, False]]
    assert lightest_half(torch.tensor([[1.0]])).tolist() == [[False]]


@given(st.integers(1, 6), st.integers(0, 99), st.floats(0.2, 2.0))
@settings(deadline=None, max_examples=50)
def test_with_one_positive_a_row_the_alignment_is_info_nce(n: int, seed: int, temperature: float) -> None:
    first, second = torch.randn(2, n, 4, generator=torch.Generator().manual_seed(seed))
    logits = F.cosine_similarity(first.unsqueeze(1), second, dim=-1) / temperature
    own = torch.arange(n)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(alignment_loss(first, second, torch.eye(n), temperature), expected)


def test_the_alignment_of_two_rows_by_hand() -> None:
    one, positives = torch.eye(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    e = np.e  # cosines of 1 and 0 at temperature 1
    expected = -np.log((e + 0.5) / (e + 1))
    assert alignment_loss(one, 3 * one, positives, 1.0).item() == pytest.approx(expected, abs=1e-6)
    assert alignment_loss(one, one, torch.ones(2, 2), 1.0).item() == pytest.approx(0.0, abs=1e-6)


TOKENIZER: dict[str, Any] = {"method": "random", "codebooks": (3, 2, 2), "seed": 2025}


def cycles() -> TrainingData:
    events = np.concatenate([(start + np.arange(12)) % N_ITEMS for start in range(N_ITEMS)]).astype(np.int32)
    offsets = np.arange(N_ITEMS + 1, dtype=np.int64) * 12
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "cycles")


def titled() -> TrainingData:
    """The cycles, of items with names."""
    plain = cycles()
    titles = pd.DataFrame({"title": [f"part{item // 3} kind{item % 4} number{item}" for item in range(N_ITEMS)]})
    return TrainingData(plain.interactions, ItemTable(titles, ("title",), None), False, "titled cycles")


def histories_of(rows: list[list[int]]) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, False)


def context(tmp_path: Path) -> FitContext:
    rising = iter(range(1000))
    return FitContext(5, "cpu", ArtifactCache(tmp_path), validate=lambda _: float(next(rising)))


def prefix_share(one: Any, other: Any) -> float:
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    return same / len(one)


def naive_alignment(
    first: list[np.ndarray], second: list[np.ndarray], weights: list[list[float]], temperature: float
) -> float:
    def similarity(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.exp(one @ other / np.linalg.norm(one) / np.linalg.norm(other) / temperature))

    terms = []
    for anchors, others in ((first, second), (second, first)):
        for anchor, row in zip(anchors, weights, strict=True):
            shares = [similarity(anchor, other) for other in others]
            terms.append(-np.log(sum(w * s for w, s in zip(row, shares, strict=True)) / sum(shares)))
    return float(np.mean(terms))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
