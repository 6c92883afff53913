"""A benchmark of recommender systems. Its interface: `run`, `load_results`, `fit`, `load` and `describe`.

The harness (data, evaluation, execution, reporting) imports no model; `bench.registry` resolves their names lazily. So
does this module with its functions: `import bench` alone brings in no library that takes time.
"""

from importlib import import_module

__version__ = "0.1.0"

_INTERFACE = ("BenchError", "FittedModel", "Results", "describe", "fit", "load", "load_results", "run")


def __getattr__(name: str) -> object:
    if name in _INTERFACE:
        return getattr(import_module("bench.api"), name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_INTERFACE})
