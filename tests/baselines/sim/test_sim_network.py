"""Pieces of SIM's network by themselves: which values a search keeps, dropout, the embeddings of gaps."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines.sim.events import GAP_BUCKETS, ORDER_BUCKETS, RetrievedEvents
from baselines.sim.network import FeatureDropout, SIMConfig, TargetAttention, newest_of_the_largest


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, -float("inf")]), min_size=7, max_size=7), min_size=1),
    limit=st.integers(1, 9),
)
def test_of_equal_values_the_first_are_kept(rows: list[list[float]], limit: int) -> None:
    kept = newest_of_the_largest(torch.tensor(rows), limit)
    for row, mask in zip(rows, kept, strict=True):
        present = [place for place, value in enumerate(row) if value > -float("inf")]
        best = sorted(present, key=lambda place: -row[place])[:limit]
        assert mask.nonzero()[:, 0].tolist() == sorted(best)


def test_dropout_drops_its_share_and_scales_the_rest() -> None:
    dropout, features = FeatureDropout(0.2), torch.full((301, 333), 3.0)
    torch.manual_seed(0)
    dropped = dropout(features)
    assert dropped.unique().tolist() == [0.0, 3.75]
    shares = (dropped == 0).double()
    assert abs(shares.mean() - 0.2) < 0.005
    assert (shares.mean(0) - 0.2).abs().max() < 0.12, "no column is favoured: 5 standard deviations"
    assert (shares.mean(1) - 0.2).abs().max() < 0.12
    torch.manual_seed(0)
    assert torch.equal(dropout(features), dropped)
    assert not torch.equal(dropout(features), dropped)
    assert torch.equal(dropout.eval()(features), features)
    assert torch.equal(FeatureDropout(0.0)(features), features)


def test_gaps_are_embedded_alike_on_a_gpu() -> None:
    attention = TargetAttention(SIMConfig(dim=4))
    time_gaps, order_gaps = torch.meshgrid(torch.arange(GAP_BUCKETS), torch.arange(ORDER_BUCKETS), indexing="ij")
    here = RetrievedEvents(torch.empty(0), time_gaps, order_gaps, torch.empty(0))
    there = replace(here, items=cast(Tensor, SimpleNamespace(is_cuda=True)))
    torch.testing.assert_close(attention._gap_embeddings(there), attention._gap_embeddings(here))
