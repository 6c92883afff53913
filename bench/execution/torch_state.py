"""What a run can change of torch, beside what it can change of its process.

Nothing here imports torch: where no run needs it, there is nothing to set back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.execution.process_state import State, attribute, refill


def _torch() -> Any:
    return sys.modules["torch"]


def modes() -> int:
    """How many modes intercept calls of torch's functions."""
    if "torch" not in sys.modules:
        return 0
    inside = _torch()._C
    return int(inside._len_torch_function_stack() + inside._len_torch_dispatch_stack())


def _called(get: str, put: str) -> State:
    """A setting with two functions of torch."""

    def restore(value: Any) -> None:
        getattr(_torch(), put)(value)

    return State(f"torch.{get}", lambda: getattr(_torch(), get)(), restore, "torch")


def _autocast(get: str, put: str, kind: str) -> State:
    def restore(value: Any) -> None:
        getattr(_torch(), put)(kind, value)

    return State(f"torch.{get}('{kind}')", lambda: getattr(_torch(), get)(kind), restore, "torch")


def _state(name: str, read: Callable[[], Any], restore: Callable[[Any], object]) -> State:
    return State(f"torch: {name}", read, restore, "torch")


def _default_device() -> str:
    return str(_torch().get_default_device())


def _restore_default_device(value: str) -> None:
    _torch().set_default_device(None if value == "cpu" else value)


def _deterministic() -> tuple[bool, bool]:
    torch = _torch()
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _restore_deterministic(value: tuple[bool, bool]) -> None:
    _torch().use_deterministic_algorithms(value[0], warn_only=value[1])


def _anomalies() -> tuple[bool, bool]:
    return _torch().is_anomaly_enabled(), _torch().is_anomaly_check_nan_enabled()


def _restore_anomalies(value: tuple[bool, bool]) -> None:
    _torch().autograd.set_detect_anomaly(*value)


def _flushes_denormals() -> bool:
    torch = _torch()
    return bool(torch.tensor([1e-310], dtype=torch.float64, device="cpu").mul(1.0).eq(0.0).item())


_guards: list[Any] = []
"""What has to live as long as a mode is on that was switched back."""


def _restore_inference_mode(value: bool) -> None:
    guard = _torch().inference_mode(value)
    guard.__enter__()
    _guards.append(guard)


def _print_options() -> dict[str, Any]:
    return vars(_torch()._tensor_str.PRINT_OPTS).copy()


def _restore_print_options(value: dict[str, Any]) -> None:
    vars(_torch()._tensor_str.PRINT_OPTS).update(value)


def _registries() -> list[dict[Any, Any]]:
    """The hooks that every module of torch calls."""
    registries = [
        value for name, value in sorted(vars(_torch().nn.modules.module).items()) if name.startswith("_global_")
    ]
    return [hooks for hooks in registries if isinstance(hooks, dict)]


def _global_hooks() -> list[dict[Any, Any]]:
    return [dict(hooks) for hooks in _registries()]


def _restore_global_hooks(value: list[dict[Any, Any]]) -> None:
    for hooks, before in zip(_registries(), value, strict=True):
        refill(hooks, before)


_ATTRIBUTES = (
    "utils.deterministic.fill_uninitialized_memory",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.cudnn.allow_tf32",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.mkldnn.enabled",
)

TORCH_STATES: Sequence[State] = (
    _called("get_default_dtype", "set_default_dtype"),
    _state("default device", _default_device, _restore_default_device),
    _state("deterministic algorithms", _deterministic, _restore_deterministic),
    _state("anomaly detection", _anomalies, _restore_anomalies),
    _called("is_grad_enabled", "set_grad_enabled"),
    _state("inference mode", lambda: _torch().is_inference_mode_enabled(), _restore_inference_mode),
    _called("get_num_threads", "set_num_threads"),
    _called("get_float32_matmul_precision", "set_float32_matmul_precision"),
    *(attribute(f"torch.{path}", "torch") for path in _ATTRIBUTES),
    *(_autocast("is_autocast_enabled", "set_autocast_enabled", kind) for kind in ("cpu", "cuda")),
    *(_autocast("get_autocast_dtype", "set_autocast_dtype", kind) for kind in ("cpu", "cuda")),
    _state("denormal numbers", _flushes_denormals, lambda value: _torch().set_flush_denormal(value)),
    _called("get_rng_state", "set_rng_state"),
    _state("print options", _print_options, _restore_print_options),
    _state("global hooks", _global_hooks, _restore_global_hooks),
)
"""Everything of torch that is set back after a run."""
