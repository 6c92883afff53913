from bench.api import BenchError as BenchError
from bench.api import FittedModel as FittedModel
from bench.api import Results as Results
from bench.api import describe as describe
from bench.api import fit as fit
from bench.api import load as load
from bench.api import load_results as load_results
from bench.api import run as run

__version__: str
