"""The T5 backbone against Hugging Face's, and its own parts against arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_network import long_term_of, trie_of
from torch import Tensor

from bench.data.interactions import PAD
from models.generation.t5_network import PAD_TOKEN, T5GenerativeConfig, T5Network, TokenVocabulary
from models.generation.t5_transformer import T5Attention, T5Config, T5RelativeBias, distance_bucket, hide
from models.generation.transformer import DecoderCache
from models.semantic_ids.semantic_ids import SemanticIds

N_ITEMS, SIZES, SHORT_TERM = 20, (5, 4, 6), 40
SIZE = {"dim": 12, "heads": 3, "head_dim": 5, "feed_forward": 16, "encoder_layers": 3, "decoder_layers": 2}
HISTORIES = [list(range(20)) * 2, [3, 7, 3, 1, 9], [11], []]
TARGETS = torch.tensor([4, 0, 19, 8])


def network_of() -> T5Network:
    torch.manual_seed(0)
    codes = torch.stack([torch.randint(0, size, (N_ITEMS,)) for size in SIZES], dim=1)
    config = T5GenerativeConfig.model_validate({"short_term": SHORT_TERM, "network": SIZE, "vocabulary": 1})
    network = T5Network(trie_of(SemanticIds(codes.numpy(), SIZES, 3)), config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return network.eval()


def left_aligned(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (SHORT_TERM - len(row)) for row in rows])


def in_front(network: T5Network, rows: list[list[int]]) -> Tensor:
    """Tokens of each row with padding before them, one row after another."""
    width = SHORT_TERM * 3
    tokens = [
        [1 + 6 * level + int(code) for item in row for level, code in enumerate(network.codes[item])] for row in rows
    ]
    return torch.tensor([[PAD_TOKEN] * (width - len(row)) + row for row in tokens])


def hugging_face(network: T5Network) -> Any:
    """The same network in `transformers`, its begin token one more row of the vocabulary."""
    transformers = pytest.importorskip("transformers")
    size = T5Config.model_validate(SIZE)
    theirs = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=network.vocabulary.rows + 1,
            d_model=size.dim,
            d_kv=size.head_dim,
            d_ff=size.feed_forward,
            num_layers=size.encoder_layers,
            num_decoder_layers=size.decoder_layers,
            num_heads=size.heads,
            dropout_rate=0.0,
            feed_forward_proj="relu",
            tie_word_embeddings=False,  # scaled by the square root of the width where tied
            pad_token_id=PAD_TOKEN,
            decoder_start_token_id=network.vocabulary.rows,
        )
    ).eval()
    parts = {
        "layer.0.SelfAttention.q": "{self}.query",
        "layer.0.SelfAttention.k": "{self}.key",
        "layer.0.SelfAttention.v": "{self}.value",
        "layer.0.SelfAttention.o": "{self}.out",
        "layer.0.layer_norm": "{self}_norm",
        "layer.{ff}.DenseReluDense.wi": "feed_forward.0",
        "layer.{ff}.DenseReluDense.wo": "feed_forward.3",
        "layer.{ff}.layer_norm": "feed_forward_norm",
    }
    cross = {
        f"layer.1.EncDecAttention.{a}": f"cross_attention.{b}"
        for a, b in zip("qkvo", ("query", "key", "value", "out"), strict=True)
    }
    own = network.state_dict()
    table = torch.cat([own["embedding.weight"], own["begin"].unsqueeze(0)])
    state = {"shared.weight": table, "lm_head.weight": table}
    for stack, layers in (("encoder", size.encoder_layers), ("decoder", size.decoder_layers)):
        state[f"{stack}.embed_tokens.weight"] = table
        state[f"{stack}.final_layer_norm.weight"] = own[f"{stack}.norm.weight"]
        name = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        state[name] = own[f"{stack}.bias.table.weight"]
        for number in range(layers):
            decoder = stack == "decoder"
            extra = cross | {"layer.1.layer_norm": "cross_norm"} if decoder else {}
            for theirs_part, ours_part in (parts | extra).items():
                there = theirs_part.replace("{ff}", "2" if decoder else "1")
                here = ours_part.replace("{self}_norm", "self_norm" if decoder else "attention_norm")
                here = here.replace("{self}", "self_attention" if decoder else "attention")
                state[f"{stack}.block.{number}.{there}.weight"] = own[f"{stack}.layers.{number}.{here}.weight"]
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert not missing
    return theirs


@torch.no_grad()
def test_encoder_and_teacher_forced_logits_are_those_of_transformers() -> None:
    network = network_of()
    theirs = hugging_face(network)
    tokens = in_front(network, HISTORIES)
    mask = (tokens != PAD_TOKEN).long()
    forced = network.vocabulary.tokens(network.codes[TARGETS])
    begin = torch.full((4, 1), network.vocabulary.rows)
    answer = theirs(input_ids=tokens, attention_mask=mask, decoder_input_ids=torch.cat([begin, forced[:, :-1]], dim=1))
    ours = network.forced(left_aligned(HISTORIES), network.codes[TARGETS], long_term_of([[]] * 4))
    torch.testing.assert_close(ours, answer.logits[..., :-1], atol=1e-4, rtol=0)
    encoded = network.encoder(network.embedding(tokens), hide(tokens != PAD_TOKEN))
    seen = mask.bool()
    torch.testing.assert_close(encoded[seen], answer.encoder_last_hidden_state[seen], atol=1e-4, rtol=0)


@torch.no_grad()
def test_decoding_step_by_step_with_a_cache_is_that_of_transformers() -> None:
    network = network_of()
    theirs = hugging_face(network)
    tokens = in_front(network, HISTORIES)
    memory = network.encode(left_aligned(HISTORIES), long_term_of([[]] * 4))
    # Two beams a query, swapped between the steps.
    codes = network.codes[torch.tensor([[4, 5], [0, 3], [19, 2], [8, 9]])]
    cache, begin = DecoderCache(), torch.full((8, 1), network.vocabulary.rows)
    known = begin
    for level in range(3):
        if level == 0:
            inputs = network.begin.expand(4, 2, 1, -1)
        else:
            parents = torch.tensor([[1, 0]] * 4)
            cache.reorder(parents)
            codes = codes.gather(1, parents.unsqueeze(-1).expand_as(codes))
            inputs = network.embedding(network.vocabulary.token(level - 1, codes[..., level - 1 : level]))
            known = torch.cat([begin, network.vocabulary.tokens(codes)[..., :level].flatten(0, 1)], dim=1)
        ours = network.logits(network.decoder(inputs, memory, None, cache)[:, :, -1])
        answer = theirs(
            input_ids=tokens.repeat_interleave(2, 0),
            attention_mask=(tokens != PAD_TOKEN).long().repeat_interleave(2, 0),
            decoder_input_ids=known,
        )
        torch.testing.assert_close(ours.flatten(0, 1), answer.logits[:, -1, :-1], atol=1e-4, rtol=0)


def test_buckets_are_those_of_transformers() -> None:
    pytest.importorskip("transformers")
    from transformers.models.t5.modeling_t5 import T5Attention as TheirAttention

    for buckets, furthest in ((32, 128), (16, 64), (8, 40)):
        distance = torch.arange(-400, 401)
        expected = TheirAttention._relative_position_bucket(distance, True, buckets, furthest)
        assert torch.equal(distance_bucket(distance, buckets, furthest), expected)


@pytest.mark.parametrize(
    ("distance", "bucket"),
    [
        *((0, 0), (-1, 1), (-7, 7), (-8, 8), (-11, 8), (-12, 9), (-16, 10), (-32, 12), (-127, 15), (-128, 15)),
        *((-999, 15), (1, 17), (7, 23), (8, 24), (16, 26), (127, 31), (999, 31)),
    ],
)
def test_a_bucket_by_hand(distance: int, bucket: int) -> None:
    assert distance_bucket(torch.tensor(distance), 32, 128).item() == bucket


def test_a_bias_depends_on_distance_and_direction_only() -> None:
    torch.manual_seed(0)
    bias = T5RelativeBias(T5Config.model_validate(SIZE), 30)
    whole = bias(0, 30)
    assert whole.shape == (3, 30, 30)
    assert torch.equal(whole[:, 5, 9], whole[:, 20, 24])
    assert not torch.equal(whole[:, 5, 9], whole[:, 9, 5])
    assert torch.equal(bias(12, 13), whole[:, 12:13, :13]), "one query of a cached decoder"


def test_where_nothing_is_visible_nothing_is_hidden() -> None:
    visible = torch.tensor([[True, False, True], [False, False, False]])
    assert hide(visible)[:, 0, 0].tolist() == [[0, -torch.inf, 0], [0, 0, 0]]


@settings(deadline=None, max_examples=30)
@given(bag=st.lists(st.integers(0, 6), min_size=1, max_size=12), seed=st.integers(0, 2**31))
def test_attention_to_counted_tokens_is_attention_to_each_of_them(bag: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    attention = T5Attention(T5Config.model_validate(SIZE)).eval()
    table, asked = torch.randn(7, 12), torch.randn(4, 12)
    counts = torch.bincount(torch.tensor(bag), minlength=7).float()
    counted = attention(asked, attention.prepare(table), counts.log().expand(4, 7))
    one_by_one = attention(
        asked.unsqueeze(1), attention.prepare(table[bag].expand(4, -1, -1)), torch.zeros(1, len(bag))
    )
    torch.testing.assert_close(counted, one_by_one.squeeze(1), atol=1e-5, rtol=1e-5)


def test_scores_are_not_scaled_by_the_heads_width() -> None:
    torch.manual_seed(0)
    attention = T5Attention(T5Config.model_validate(SIZE | {"heads": 1})).eval()
    asked, memory = torch.randn(1, 12), torch.randn(3, 12)
    weights = (attention.query(asked) @ attention.key(memory).T).softmax(-1)
    expected = attention.out(weights @ attention.value(memory))
    torch.testing.assert_close(attention(asked, attention.prepare(memory), torch.zeros(1, 3)), expected)


def test_one_vocabulary_holds_the_codes_of_all_levels() -> None:
    vocabulary = TokenVocabulary.over((64, 128, 128), 1000)
    assert (vocabulary.rows, vocabulary.used, vocabulary.stride) == (1000, 385, 128)
    assert vocabulary.tokens(torch.tensor([[0, 0, 0], [63, 127, 127]])).tolist() == [[1, 129, 257], [64, 256, 384]]
    assert vocabulary.span(0) == slice(1, 65)
    assert vocabulary.span(2) == slice(257, 385)
    assert vocabulary.token(1, torch.tensor(5)).item() == 134
    assert TokenVocabulary.over((4, 300), 10).rows == 601, "never fewer than the codes need"


def test_initial_weights_are_those_that_the_cards_name() -> None:
    """Token embeddings by `initial_std`, all else by PyTorch's defaults, as in the official code's `GLASS.__init__`.

    There, `nn.Embedding` and `nn.Linear` keep their defaults (glass/main_glass.py, lines 53, 93 to 96, 153, 156 and
    218): N(0, 1), and U(-1, 1) / sqrt(inputs).
    """
    torch.manual_seed(0)
    codes = torch.stack([torch.randint(0, size, (N_ITEMS,)) for size in SIZES], dim=1)
    network = T5Network(trie_of(SemanticIds(codes.numpy(), SIZES, 3)), T5GenerativeConfig())
    assert network.embedding.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert network.encoder.bias.table.weight.std().item() == pytest.approx(1, rel=0.2)
    inputs = 96
    for weight in (network.encoder.layers[0].attention.query.weight, network.decoder.layers[3].feed_forward[0].weight):
        assert weight.abs().max().item() == pytest.approx(inputs**-0.5, rel=0.01)
        assert weight.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.02)
    official = T5GenerativeConfig.model_validate({"initial_std": 1.0})
    assert T5Network(
        trie_of(SemanticIds(codes.numpy(), SIZES, 3)), official
    ).embedding.weight.std().item() == pytest.approx(1, rel=0.02)
