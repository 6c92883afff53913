"""Judging ranked lists: per-query ranks, metrics from ranks, slices."""
