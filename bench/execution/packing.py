"""Nested Python values as JSON, with their tensors and arrays beside it: what checkpoints and saved models are made of.

Nothing is pickled: what reads a file calls no function that the file names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

KEPT_ARRAYS = "biufU"
"""Kinds of arrays that are kept as their bytes: numbers, and text of one length."""


class Packer:
    """Turns values into JSON. Tensors and arrays go into `tensors`, and their numbers take their place.

    Attributes:
        tensors: float and integer tensors by number, as `safetensors` takes them.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def pack(self, value: Any) -> Any:
        """Packs one value.

        Raises:
            TypeError: There is something in it that can't be kept.
        """
        import torch

        if value is None or (isinstance(value, bool | int | float | str) and type(value) in _PLAIN):
            return value
        if isinstance(value, torch.Tensor):
            order = _in_memory(value.stride())
            kept = value.detach().to("cpu", copy=True).permute(order).contiguous()
            return {"tensor": self._numbered(kept), **_if_unusual(order)}
        if isinstance(value, np.ndarray) and value.dtype.kind in KEPT_ARRAYS:
            order = _in_memory(value.strides)
            kept_array = value.transpose(order)
            raw = torch.from_numpy(np.frombuffer(kept_array.tobytes(), dtype=np.uint8).copy())
            shape = {"shape": list(kept_array.shape), **_if_unusual(order)}
            return {"array": self._numbered(raw), "dtype": value.dtype.str, **shape}
        if isinstance(value, np.generic):
            return self.pack(value.item())
        if isinstance(value, Mapping):
            return {"mapping": [[self.pack(key), self.pack(entry)] for key, entry in value.items()]}
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [self.pack(entry) for entry in value]}
        raise TypeError(f"a {type(value).__name__} can't be kept")

    def _numbered(self, tensor: torch.Tensor) -> str:
        name = str(len(self.tensors))
        self.tensors[name] = tensor
        return name


_PLAIN = (bool, int, float, str)


class Unpacker:
    """Makes of JSON what a `Packer` was given.

    Args:
        tensors: As the packer left them.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def unpack(self, packed: Any) -> Any:
        """Unpacks one value.

        Raises:
            KeyError: It is of no known kind, or a tensor of it is not there.
        """
        if not isinstance(packed, dict):
            return packed
        if "tensor" in packed:
            tensor = self.tensors[packed["tensor"]]
            return tensor.permute(_back(packed["order"])) if "order" in packed else tensor
        if "array" in packed:
            raw = self.tensors[packed["array"]].numpy().tobytes()
            array = np.frombuffer(raw, dtype=np.dtype(packed["dtype"])).reshape(packed["shape"]).copy()
            return array.transpose(_back(packed["order"])) if "order" in packed else array
        if "mapping" in packed:
            return {self.unpack(key): self.unpack(entry) for key, entry in packed["mapping"]}
        kinds: dict[str, Callable[[Sequence[Any]], Any]] = {"list": list, "tuple": tuple}
        ((kind, entries),) = packed.items()
        return kinds[kind]([self.unpack(entry) for entry in entries])


def _in_memory(strides: Sequence[int]) -> list[int]:
    """The order of dimensions in which an array lies: sums of floats over it depend on that."""
    return sorted(range(len(strides)), key=lambda dimension: -strides[dimension])


def _if_unusual(order: list[int]) -> dict[str, list[int]]:
    return {} if order == sorted(order) else {"order": order}


def _back(order: Sequence[int]) -> list[int]:
    return [order.index(dimension) for dimension in range(len(order))]
