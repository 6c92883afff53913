"""Hyper-parameter search: the same number of trials for every model, judged by validation NDCG@10 alone."""
