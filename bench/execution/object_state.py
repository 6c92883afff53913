"""Objects by their attributes: how a fitted model becomes JSON and tensors, whatever its parts are made of.

An object is kept as the name of its class and what `__getstate__` or `vars` tell of it; a thing that is met twice (two
layers with one weight) is kept once. Read back, an object is made without a call of its `__init__`. Classes and
functions are looked up by name in this project, in torch's layers, in SciPy's sparse arrays, in the package of the
model, and in what that model names (`Recommender.packages_of_state`); a file that names anything else is refused, and
so is a model with a part that can't be kept: an open file, a lambda.
"""

from __future__ import annotations

import collections
import importlib
import inspect
import logging
import types
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import BaseModel

from bench.execution.packing import KEPT_ARRAYS, Packer, Unpacker

if TYPE_CHECKING:
    import torch

OWN_PACKAGES = ("bench", "models", "baselines", "torch.nn", "scipy.sparse")

_COLLECTIONS: dict[str, type] = {
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
    "defaultdict": collections.defaultdict,
    "deque": collections.deque,
    "set": set,
    "frozenset": frozenset,
}
_FACTORIES: dict[str, Callable[[], Any]] = {"list": list, "dict": dict, "set": set, "int": int, "float": float}


class ObjectPacker(Packer):
    """Packs objects, too.

    Args:
        packages: Beside `OWN_PACKAGES`, whose classes and functions may be named.

    Attributes:
        path: Of attributes to what is packed at the moment, for error messages.
    """

    def __init__(self, packages: Iterable[str] = ()) -> None:
        super().__init__()
        self.path: list[str] = []
        self._packages = (*OWN_PACKAGES, *packages)
        self._met: dict[int, tuple[int, Any]] = {}

    def pack(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str | np.generic):
            return super().pack(value)
        if id(value) in self._met:
            return {"same": self._met[id(value)][0]}
        number = len(self._met)
        self._met[id(value)] = number, value  # the value, so that nobody else gets its id
        form: dict[str, Any] = self._form(value)
        return {**form, "number": number}

    def _form(self, value: Any) -> dict[str, Any]:
        import torch

        if isinstance(value, torch.Tensor):
            learned = {"learned": value.requires_grad} if isinstance(value, torch.nn.Parameter) else {}
            return {**super().pack(value), **learned, **({} if value.device.type == "cpu" else {"moved": True})}
        if isinstance(value, torch.device):
            return {"device": value.type}
        if isinstance(value, logging.Logger):
            return {"logger": value.name}
        if isinstance(value, torch.dtype):
            return {"torch": str(value).removeprefix("torch.")}
        if isinstance(value, BaseModel):
            return {"config": self._name(type(value)), "values": value.model_dump(mode="json")}
        if type(value) is dict:
            return self._mapping(value)
        if type(value) in (list, tuple) or (isinstance(value, np.ndarray) and value.dtype.kind in KEPT_ARRAYS):
            return cast(dict[str, Any], super().pack(value))
        if type(value).__name__ in _COLLECTIONS and type(value) is _COLLECTIONS[type(value).__name__]:
            return self._collection(value)
        if isinstance(value, type) or inspect.isfunction(value) or inspect.isbuiltin(value):
            return {"named": self._name(value)}
        if inspect.ismethod(value) and not isinstance(value.__self__, type):
            return {"method": value.__name__, "of": self.pack(value.__self__)}
        if isinstance(value, partial):
            return {"partial": self.pack(value.func), "args": self.pack(value.args), "more": self.pack(value.keywords)}
        if isinstance(value, torch.Generator | np.random.Generator | types.ModuleType):
            raise self._error(value)
        return {"object": self._name(type(value)), "state": self.pack(self._state_of(value))}

    def _collection(self, value: Any) -> dict[str, Any]:
        entries = dict(value) if isinstance(value, dict) else list(value)
        form = {"collection": type(value).__name__, "entries": self.pack(entries)}
        if isinstance(value, collections.defaultdict):
            if value.default_factory not in _FACTORIES.values():
                raise self._error(value)
            form["factory"] = getattr(value.default_factory, "__name__", "")
        return form

    def _state_of(self, value: Any) -> Any:
        """What an object says of itself, or its attributes by name."""
        # Python 3.10 has none of `object`, so that most classes have none.
        if getattr(type(value), "__getstate__", None) is not getattr(object, "__getstate__", None):
            return value.__getstate__()
        names = [name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
        slots = {name: getattr(value, name) for name in names}
        if not slots and not hasattr(value, "__dict__"):
            raise self._error(value)
        return {**slots, **getattr(value, "__dict__", {})}

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """Packs entry by entry, so that an error can tell the way to its cause."""
        entries = []
        for key, entry in value.items():
            self.path.append(str(key))
            entries.append([self.pack(key), self.pack(entry)])
            self.path.pop()
        return {"mapping": entries}

    def _name(self, named: Any) -> str:
        module, name = getattr(named, "__module__", None) or "", getattr(named, "__qualname__", "")
        where = f"{module}:{name}"
        try:
            if found(where, self._packages) is named:
                return where
        except (ValueError, AttributeError, ImportError):
            pass
        raise self._error(named if isinstance(named, type) else type(named), where)

    def _error(self, value: Any, what: str = "") -> TypeError:
        kind = what or type(value).__name__
        return TypeError(f"{'.'.join(self.path) or 'the model'} holds {kind}, which can't be kept")


class ObjectUnpacker(Unpacker):
    """Makes objects again.

    Args:
        tensors: As the packer left them.
        packages: Beside `OWN_PACKAGES`, whose classes and functions may be named.
        device: Where the tensors go that were on a GPU.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], packages: Iterable[str] = (), device: str = "cpu") -> None:
        super().__init__(tensors)
        self._packages, self._device = (*OWN_PACKAGES, *packages), device
        self._made: dict[int, Any] = {}

    def unpack(self, packed: Any) -> Any:
        """Unpacks one value.

        Raises:
            ValueError: It names something that no saved model may name.
            ImportError, AttributeError: What it names is no more.
        """
        if not isinstance(packed, dict):
            return packed
        if "same" in packed:
            return self._made[packed["same"]]
        form = dict(packed)
        number = form.pop("number")
        if "object" in form:
            return self._object(number, form)
        if "list" in form or "mapping" in form:
            return self._container(number, form)
        made = self._made[number] = self._value(form)
        return made

    def _object(self, number: int, form: Mapping[str, Any]) -> Any:
        kind = found(form["object"], self._packages)
        if not isinstance(kind, type):
            raise ValueError(f"{form['object']} is no class")
        made: Any = object.__new__(kind)
        self._made[number] = made
        state = self.unpack(form["state"])
        if hasattr(kind, "__setstate__"):
            made.__setstate__(state)
        else:
            for name, value in state.items():
                object.__setattr__(made, name, value)  # past the lock of a frozen one
        return made

    def _container(self, number: int, form: Mapping[str, Any]) -> Any:
        """A list or mapping, which is known before it is filled: it may be in itself."""
        if "list" in form:
            entries: list[Any] = []
            self._made[number] = entries
            entries.extend(map(self.unpack, form["list"]))
            return entries
        mapping: dict[Any, Any] = {}
        self._made[number] = mapping
        for key, value in form["mapping"]:
            mapping[self.unpack(key)] = self.unpack(value)
        return mapping

    def _value(self, form: dict[str, Any]) -> Any:
        import torch

        if "tensor" in form:
            tensor = super().unpack({key: form[key] for key in ("tensor", "order") if key in form})
            if form.get("moved"):
                tensor = tensor.to(self._device)
            return torch.nn.Parameter(tensor, form["learned"]) if "learned" in form else tensor
        if "device" in form:
            return torch.device("cpu" if form["device"] == "cpu" else self._device)
        if "logger" in form:
            return logging.getLogger(form["logger"])
        if "torch" in form:
            return getattr(torch, form["torch"])
        if "config" in form:
            config = found(form["config"], self._packages)
            if not (isinstance(config, type) and issubclass(config, BaseModel)):
                raise ValueError(f"{form['config']} is no configuration")
            return config.model_validate(form["values"])
        if "collection" in form:
            kind, entries = _COLLECTIONS[form["collection"]], self.unpack(form["entries"])
            if "factory" in form:
                return collections.defaultdict(_FACTORIES[form["factory"]], entries)
            return kind(entries)
        if "named" in form:
            return found(form["named"], self._packages)
        if "method" in form:
            method = getattr(type(owner := self.unpack(form["of"])), form["method"])
            if not inspect.isfunction(method):
                raise ValueError(f"{form['method']} is no method")
            return types.MethodType(method, owner)
        if "partial" in form:
            return partial(self.unpack(form["partial"]), *self.unpack(form["args"]), **self.unpack(form["more"]))
        return super().unpack(form)


def found(where: str, packages: Iterable[str]) -> Any:
    """The class or function of a name as in "models.glass.glass:Glass".

    Raises:
        ValueError: It lies in none of the packages.
        ImportError, AttributeError: There is none.
    """
    module, _, name = where.partition(":")
    if not any(module == package or module.startswith(f"{package}.") for package in packages):
        raise ValueError(f"a saved model may not name {where}")
    here: Any = importlib.import_module(module)
    for part in name.split("."):
        here = getattr(here, part)
    if getattr(here, "__module__", None) != module:  # what a module has imported is not its own
        raise ValueError(f"a saved model may not name {where}")
    return here


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))
