"""How metrics are called in tables and sentences, and which of them is the primary one."""

from __future__ import annotations

from bench.conventions import PRIMARY_METRIC, metric_name


def column(metric: str, what: str = "") -> str:
    """The heading of a column: "NDCG@10", "NDCG@10 item", "Recall@10 (secondary)", "Recall@10 item (secondary)".

    Args:
        metric: E.g. "recall@10".
        what: What follows the name of the metric.
    """
    name = f"{metric_name(metric)} {what}".strip()
    return name if metric == PRIMARY_METRIC else f"{name} (secondary)"
