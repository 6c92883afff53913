"""Model names and the classes behind them: built-ins and third-party entry points alike, imported when asked for.

A package outside this project adds a model with an entry point and no change here:

    [project.entry-points."glass_bench.models"]
    my-model = "my_package.my_module:MyRecommender"
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import EntryPoint, entry_points

from bench.errors import BenchError, SkippedRun, reason_of, unknown_name
from bench.model_files import file_model, model_file
from bench.names import path_name, row_label
from bench.recommender import Recommender, fault_of_declarations
from bench.spec import Entry, RunSpec

ENTRY_POINT_GROUP = "glass_bench.models"

BUILT_IN = {
    "oracle": "baselines.oracle:Oracle",
    "popularity": "baselines.popularity:Popularity",
    "personal-popularity": "baselines.personal_popularity:PersonalPopularity",
    "item-knn": "baselines.item_knn:ItemKNN",
    "gp-topfreq": "baselines.gp_topfreq:GPTopFreq",
    "tifuknn": "baselines.tifuknn:TIFUKNN",
    "up-cf": "baselines.upcf:UPCF",
    "gru4rec": "baselines.gru4rec:GRU4Rec",
    "sasrec-ce": "baselines.sasrec:SASRec",
    "sasrec-bce": "baselines.sasrec:SASRecBCE",
    "sasrec-ce-compressed": "baselines.compressed:SASRecCompressed",
    "sasrec-ce-copying": "baselines.copying:SASRecCopying",
    "gsasrec": "baselines.gsasrec:GSASRec",
    "esasrec": "baselines.esasrec:ESASRec",
    "lrurec": "baselines.lrurec:LRURec",
    "hstu": "baselines.hstu:HSTU",
    "hstu-large": "baselines.hstu:HSTULarge",
    "hstu-compressed": "baselines.compressed:HSTUCompressed",
    "hstu-copying": "baselines.copying:HSTUCopying",
    "fuxi-alpha": "baselines.fuxi_alpha:FuXiAlpha",
    "count-mixture": "baselines.count_mixture:CountMixture",
    "sim": "baselines.sim.model:SIM",
    "sim-soft": "baselines.sim.model:SIMSoft",
    "tiger": "baselines.tiger:Tiger",
    "cobra": "baselines.cobra:Cobra",
    "discrec": "baselines.discrec:DiscRec",
    "setrec": "baselines.setrec:SETRec",
    "rpg": "baselines.rpg:RPG",
    "diffgrm": "baselines.diffgrm.model:DiffGRM",
    "dualgr": "baselines.dualgr:DualGR",
    "gems": "baselines.gems:Gems",
    "h2rec": "baselines.h2rec.model:H2Rec",
    "tiger-t5": "baselines.tiger_t5:TigerT5",
    "glass": "models.glass.glass:Glass",
    "glass-plus": "models.glass.plus:GlassPlus",
    "glass-official": "models.glass.official:GlassOfficial",
    "gru4rec-recbole": "baselines.recbole.models:RecBoleGRU4Rec",
    "sasrec-recbole": "baselines.recbole.models:RecBoleSASRec",
    "lightsans-recbole": "baselines.recbole.models:RecBoleLightSANs",
    "bert4rec-recbole": "baselines.recbole.models:RecBoleBERT4Rec",
    "caser-recbole": "baselines.recbole.models:RecBoleCaser",
    "hgn-recbole": "baselines.recbole.models:RecBoleHGN",
    "narm-recbole": "baselines.recbole.models:RecBoleNARM",
    "stamp-recbole": "baselines.recbole.models:RecBoleSTAMP",
    "fdsa-recbole": "baselines.recbole.models:RecBoleFDSA",
}

BASELINES_OF_OLD_RESULTS = frozenset(
    {
        *("item-knn", "gru4rec", "sasrec-ce", "sasrec-bce", "hstu", "hstu-large", "sim", "sim-soft", "tiger", "dualgr"),
        *("h2rec", "tiger-t5", "gru4rec-recbole", "sasrec-recbole", "lightsans-recbole", "bert4rec-recbole"),
        *("caser-recbole", "hgn-recbole", "narm-recbole", "stamp-recbole", "fdsa-recbole"),
    }
)
"""Models whose stored results may say "contestant", or no role at all, since they are from before a model could declare
itself a baseline. A closed list: a new baseline declares its role (`Recommender.role`)."""

_OWN_PACKAGES = {"bench", "models", "baselines"}


def model_names() -> list[str]:
    """Every registered name, built-ins first; imports no model."""
    return [*BUILT_IN, *sorted(_third_party())]


def model_class(name: str) -> type[Recommender]:
    """The class behind a registered name.

    Raises:
        SkippedRun: A built-in model needs an optional package that is not installed.
        BenchError: The name is unknown, or what it names is not an importable `Recommender`.
    """
    third_party = {} if name in BUILT_IN else _third_party()
    if name in third_party:
        point = third_party[name]
        where = f"model '{name}' of distribution '{point.dist.name if point.dist else 'unknown'}' ({point.value})"
        try:
            found = point.load()
        except Exception as error:  # a stranger's module may raise anything while it is imported
            raise BenchError(f"{where} can't be imported: {reason_of(error)}") from error
    elif name in BUILT_IN:
        where = f"model '{name}' ({BUILT_IN[name]})"
        module, _, attribute = BUILT_IN[name].partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            package = missing_package(error)
            if package is None:
                raise BenchError(f"{where} can't be imported: {reason_of(error)}") from error
            raise SkippedRun(how_to_install(package)) from error
        except AttributeError as error:
            raise BenchError(f"{where} can't be imported: {reason_of(error)}") from error
    else:
        raise unknown_name("model", name, model_names())
    if not (inspect.isclass(found) and issubclass(found, Recommender)):
        raise BenchError(f"{where} is not a subclass of bench.recommender.Recommender")
    fault = fault_of_declarations(found)
    if fault is not None:
        raise BenchError(f"{where}: {fault}")
    return found


def class_of(run: Entry | RunSpec) -> type[Recommender]:
    """The class behind a row or a run: a registered one, or that of a file of the user's own.

    Raises:
        SkippedRun, BenchError: As `model_class` and `model_files.file_model`.
    """
    if isinstance(run, RunSpec):
        return model_class(run.model) if run.source is None else file_model(run.source)
    return model_class(run.model) if run.file is None else file_model(model_file(run.file, run.model))


def missing_package(error: ImportError) -> str | None:
    """The optional package whose absence caused `error`; None when the fault lies in this project."""
    package = (error.name or "").partition(".")[0]
    return package if package and package not in _OWN_PACKAGES else None


def how_to_install(package: str) -> str:
    """The reason for a skipped run that lacks `package`."""
    return f"needs the package '{package}', which is not installed here: pip install {package}"


def _third_party() -> dict[str, EntryPoint]:
    """Entry points by model name.

    Raises:
        BenchError: One of them takes the name of a built-in model or of another distribution's model.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        owner = point.dist.name if point.dist else "unknown"
        _check_name(point.name, owner)
        if point.name in BUILT_IN:
            raise BenchError(
                f"distribution '{owner}' registers a model '{point.name}', which is a built-in name: "
                f"rename its entry point in group '{ENTRY_POINT_GROUP}'"
            )
        other = found.setdefault(point.name, point)
        if other.value != point.value:  # the same distribution may be found twice on the path
            raise BenchError(
                f"model '{point.name}' is registered twice, as {other.value} and as {point.value}: "
                f"rename one of the entry points in group '{ENTRY_POINT_GROUP}'"
            )
    return found


def _check_name(name: str, owner: str) -> None:
    """Raises BenchError where a model of another distribution could not be the name of a folder and of a row."""
    try:
        row_label(path_name(name))
    except ValueError as error:
        where = f"rename its entry point in group '{ENTRY_POINT_GROUP}'"
        raise BenchError(f"distribution '{owner}' registers a model whose {error}: {where}") from None
