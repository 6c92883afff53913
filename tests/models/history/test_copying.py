"""Copying: what may be copied, and what it weighs; `test_generative.py` holds whole networks to a naive one."""

import math

import pytest
import torch
from torch import Tensor

from models.history.copying import Copies, CopyableEvents, CopyHead
from models.history.prefix_bias import PrefixBias, agreement

LEVELS, HIDDEN = 3, 4
KEY_DIM = 32
"""Width of the keys, by whose root scores are divided. Ours: CopyNet (arXiv 1603.06393) scores by a tanh."""
EVENTS = [[0, 1, 2], [0, 1, 3], [0, 2, 2], [1, 1, 2], [0, 1, 2]]
"""Codes of five events, the oldest first; the last is a padding."""
AGES = [4, 3, 2, 1, 0]


def events(key: Tensor | None = None) -> CopyableEvents:
    key = torch.zeros(1, 1, len(EVENTS), KEY_DIM) if key is None else key
    present = torch.tensor([[[True, True, True, True, False]]])
    return CopyableEvents(key, torch.tensor([[EVENTS]]), torch.tensor([[AGES]]), present)


def head() -> CopyHead:
    torch.manual_seed(0)
    head = CopyHead(HIDDEN, LEVELS)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    return head


@torch.no_grad()
def test_only_events_with_the_codes_generated_so_far_may_be_copied() -> None:
    states = torch.randn(1, 1, LEVELS, HIDDEN)
    copies = head()(states, torch.tensor([[[0, 1]]]), events())
    may = (copies.scores > -torch.inf)[0, 0].tolist()
    assert copies.first_level == 0
    assert may[0] == [True, True, True, True, False], "nothing is known yet"
    assert may[1] == [True, True, True, False, False], "those of first code 0"
    assert may[2] == [True, True, False, False, False], "those of the codes 0, 1"
    assert copies.codes[0, 0].tolist() == [list(column) for column in zip(*EVENTS, strict=True)]


@torch.no_grad()
def test_scores_are_made_of_key_level_and_age() -> None:
    copying, states = head(), torch.randn(1, 1, LEVELS, HIDDEN)
    key = torch.randn(1, 1, len(EVENTS), KEY_DIM)
    copies = copying(states, torch.tensor([[[0, 1]]]), events(key))
    for level, event in ((0, 3), (1, 2), (2, 0)):
        matches = (copying.query.weight @ states[0, 0, level]) @ key[0, 0, event] / math.sqrt(KEY_DIM)
        age = AGES[event]
        bucket = [1, 2, 3, 4].index(age)  # the first edges are 2, 2, 3, 4: half powers of two, rounded up
        expected = matches + copying.level_bias[level] + copying.age_bias.table[bucket, 0]
        assert copies.scores[0, 0, level, event].item() == pytest.approx(expected.item(), abs=1e-5)


@torch.no_grad()
def test_one_state_at_a_time_gives_what_all_states_together_give() -> None:
    copying, states = head(), torch.randn(1, 1, LEVELS, HIDDEN)
    together = copying(states, torch.tensor([[[0, 1]]]), events())
    for level in range(LEVELS):
        alone = copying(states[:, :, level : level + 1], torch.tensor([[[0, 1][:level]]]).long(), events())
        assert alone.first_level == level
        assert torch.equal(alone.scores[:, :, 0], together.scores[:, :, level])
        assert torch.equal(alone.codes[:, :, 0], together.codes[:, :, level])


def test_generating_and_copying_share_one_softmax() -> None:
    logits = torch.tensor([[math.log(2.0), math.log(3.0), 0.0]])
    scores = torch.tensor([[[math.log(4.0), math.log(5.0), -torch.inf]]])
    copies = Copies(scores, torch.tensor([[[1, 1, 2]]]), first_level=1)
    assert copies.added_to(logits, level=0) is logits
    assert copies.added_to(logits, level=1).softmax(-1)[0].tolist() == pytest.approx([2 / 15, 12 / 15, 1 / 15])


def test_nothing_to_copy_leaves_scores_as_they_are_and_gradients_finite() -> None:
    logits = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    scores = torch.full((1, 1, 2), -torch.inf, requires_grad=True)
    shared = Copies(scores, torch.tensor([[[1, 1]]]), first_level=0).added_to(logits, level=0)
    assert torch.equal(shared, logits)
    torch.nn.functional.cross_entropy(shared, torch.tensor([2])).backward()
    assert logits.grad[0].tolist() == [1, 0, -1]
    assert scores.grad.abs().sum() == 0


def test_agreement_ends_with_the_first_code_that_differs() -> None:
    known, codes = torch.tensor([[[0, 1, 2]]]), torch.tensor([[[[0, 1, 2, 7], [0, 2, 2, 7], [1, 1, 2, 7]]]])
    assert agreement(known, codes)[0, 0].T.tolist() == [[True, True, True], [True, False, False], [False] * 3]


@torch.no_grad()
def test_a_token_sees_the_agreement_of_the_codes_that_it_knows() -> None:
    bias = PrefixBias(heads=1, levels=LEVELS)
    bias.steps.copy_(torch.tensor([[[1.0], [100.0]], [[2.0], [10.0]]]))
    agree = torch.tensor([[True, True, False], [True, False, False]])  # two codes, three events
    assert bias(agree[None, None])[0, 0, 0].tolist() == [[1, 1, 0], [12, 2, 0]], "a code not known yet says nothing"
