"""Models that lie in a Python file of the user's own, without a package: `my_model.py:SameGenre`."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from bench.errors import BenchError, reason_of, unknown_name
from bench.files import expanded
from bench.plain_text import quoted
from bench.recommender import Recommender, fault_of_declarations
from bench.spec import ModelFile

_SUFFIX = ".py"


def is_model_file(text: str) -> bool:
    """Tells whether a name of a model is rather that of a file with one: `my_model.py:SameGenre`, or `my_model.py`."""
    path, colon, _ = text.rpartition(":")
    return (path if colon else text).endswith(_SUFFIX)


def split_model_file(text: str) -> tuple[str, str]:
    """Reads `my_model.py:SameGenre` as a path, made absolute, and the name of a class.

    Raises:
        BenchError: There is no such file, or it names no class that there is.
    """
    written, _, name = text.rpartition(":") if not text.endswith(_SUFFIX) else (text, "", "")
    path = expanded(written)
    classes = _classes(_parsed(path))
    if not name:
        listed = " or ".join(f"{written}:{one}" for one in classes[:3]) or f"{written}:CLASS"
        raise BenchError(f"{written}: which class of it is the model? give {listed}")
    if name not in classes:
        raise BenchError(f"{written}: {unknown_name('class', name, classes)}")
    return str(path.resolve()), name


def model_file(path: str, name: str) -> ModelFile:
    """Describes a model by what decides its results: the text of its file, and of those beside it that it imports.

    Raises:
        BenchError: There is no such file, or it is no Python.
    """
    digest = hashlib.sha256()
    for place, text in sorted(_sources(Path(path), {}).items()):
        digest.update(f"{place.relative_to(Path(path).parent)}\x1f{text}\x1e".encode())
    return ModelFile(path=path, name=name, sha256=digest.hexdigest())


def file_model(source: ModelFile) -> type[Recommender]:
    """Imports the model of a file, once per process and text of the file.

    Raises:
        BenchError: The file has changed since it was described, can't be imported, or its class is no model.
    """
    where = f"{source.path}:{source.name}"
    if model_file(source.path, source.name) != source:
        raise BenchError(f"{where} has changed since this run was planned: start again")
    module = _imported(source)
    found = getattr(module, source.name, None)
    if not (inspect.isclass(found) and issubclass(found, Recommender)):
        raise BenchError(
            f"{where} is not a subclass of bench.recommender.Recommender: write class {source.name}(Recommender)"
        )
    if inspect.isabstract(found):
        lacking = " and ".join(sorted(found.__abstractmethods__))
        raise BenchError(
            f"{where} has no {lacking}: a model needs it (bench.recommender.Recommender says what it does)"
        )
    fault = fault_of_declarations(found)
    if fault is not None:
        raise BenchError(f"{where}: {fault}")
    return found


def _imported(source: ModelFile) -> ModuleType:
    """The module of a file, under a name that tells its text: what is cached for it is made by this very text."""
    name = f"own_model_{source.sha256[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, source.path)
    if spec is None or spec.loader is None:
        raise BenchError(f"{source.path} can't be imported: it should end in {_SUFFIX}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _beside(source.path):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything while it is imported
        del sys.modules[name]
        raise BenchError(f"{_line_of(error, source.path)} can't be imported: {reason_of(error)}") from error
    return module


@contextmanager
def _beside(path: str) -> Iterator[None]:
    """Has modules beside a file found, after all others, while it is imported."""
    folder = str(Path(path).parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _line_of(error: BaseException, path: str) -> str:
    """The file and the line of it in which an import failed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}, line {lines[-1]}:" if lines else f"{path}:"


def _parsed(path: Path) -> ast.Module:
    return _parsed_text(path, _text(path))


def _text(path: Path) -> str:
    if not os.path.isfile(path):  # noqa: PTH113  # False, too, where no file can be named so
        raise BenchError(f"no file '{path}': give the path of a Python file with your model, as my_model.py:MyModel")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BenchError(f"{path} can't be read: {reason_of(error)}") from None


def _parsed_text(path: Path, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise BenchError(f"{path}, line {error.lineno}: {error.msg}: {quoted((error.text or '').strip())}") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is no Python: {reason_of(error)}") from None


def _classes(tree: ast.Module) -> list[str]:
    """Names of the classes of a module."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def _sources(path: Path, found: dict[Path, str]) -> dict[Path, str]:
    """The text of a module and of the modules beside it that it imports, and so on."""
    text = found[path] = _text(path)
    for node in ast.walk(_parsed_text(path, text)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            for other in _places(path, module):
                if other not in found and other.is_file():
                    _sources(other, found)
    return found


def _places(path: Path, module: str) -> Iterator[Path]:
    """Where a module beside a file would lie, with the packages that it is in."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        place = path.parent.joinpath(*parts[:count])
        yield place.with_name(f"{place.name}{_SUFFIX}")
        yield place / "__init__.py"
