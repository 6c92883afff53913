"""What the project decides once, for evaluation, numbers and report alike: its metrics, and what head and far mean."""

from __future__ import annotations

_WORDS = ("hit", "recall", "precision")
"""Names of metrics that are words; others are abbreviations."""


def metric_name(metric: str) -> str:
    """A metric as people write it.

    >>> metric_name("ndcg@10"), metric_name("recall@5")
    ('NDCG@10', 'Recall@5')
    """
    kind, _, cutoff = metric.partition("@")
    return f"{kind.capitalize() if kind in _WORDS else kind.upper()}@{cutoff}"


PRIMARY_METRIC = "ndcg@10"
"""What this project judges by, at item level. Validation selects by it and every test of a difference is of it, so that
nobody can choose, after the fact, the metric in which a model looks best; all other metrics are secondary.
"""

PRIMARY_NAME = metric_name(PRIMARY_METRIC)
"""As written in sentences and in the headings of tables."""

SECONDARY_METRIC = "recall@10"
"""Stands beside the primary metric where there is room for one more: was the target found at all? Never tested."""

HEAD_SHARE = 0.2
"""Share of the catalogue, most training interactions first, that counts as head."""

REACH_WINDOW = 50
"""Events that count as the short-term history, as in the GLASS paper: a target is in reach of a model that reads no
further where it last occurred among so many most recent events, and far where it occurred only before them.
"""
