"""The harness: data, evaluation, execution and reporting of a recommender benchmark.

Nothing in here imports `models` or `baselines`; `bench.registry` resolves their names lazily.
"""

__version__ = "0.1.0"
