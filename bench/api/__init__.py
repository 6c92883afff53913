"""The bench from Python: `import bench` brings these functions, and the heavy libraries with the first call."""

from bench.api.data import describe
from bench.api.model import FittedModel, fit, load
from bench.api.results import Results, load_results, run
from bench.errors import BenchError

__all__ = ["BenchError", "FittedModel", "Results", "describe", "fit", "load", "load_results", "run"]
