"""What a run can change of its process: one line each, with how it is read and how it is set back.

Another run in the same process would be made under what the last one left. Libraries that were not imported when a run
began are not asked: what they change of themselves was no part of the process before.
"""

from __future__ import annotations

import copy
import decimal
import gc
import locale
import logging
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class State:
    """One thing that all code of a process shares.

    Attributes:
        name: What it is called in the log.
        read: Its value, in a copy that later changes don't reach.
        restore: Sets it to what `read` gave.
        module: The package without which there is no such thing.
        agrees: Whether a value before and one after are as good as equal.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]
    module: str = "sys"
    agrees: Callable[[Any, Any], bool] = lambda before, now: same(before, now)

    @property
    def exists(self) -> bool:
        return self.module in sys.modules


def same(first: Any, second: Any) -> bool:
    """Whether two values of a state are equal; arrays and tensors are compared as a whole."""
    if first is second:
        return True
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        return len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "shape") and hasattr(second, "shape"):
        return bool(first.shape == second.shape and (first == second).all())
    return type(first) is type(second) and bool(first == second)


def attribute(path: str, module: str) -> State:
    """A setting that is an attribute: of a module, or of an object in it."""
    owner_path, _, name = path.rpartition(".")

    def owner() -> Any:
        parent: Any = sys.modules[module]
        for part in owner_path.split(".")[1:]:
            parent = getattr(parent, part)
        return parent

    return State(path, lambda: getattr(owner(), name), lambda value: setattr(owner(), name, value), module)


def refill(container: Any, value: Any) -> None:
    """Gives a shared mapping or list its earlier content, in place: others hold it, too."""
    if isinstance(container, Mapping):
        container.clear()  # type: ignore[attr-defined]
        container.update(value)  # type: ignore[attr-defined]
    else:
        container[:] = value


def _refill_environment(value: dict[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)
    time.tzset()


def _restore_filters(value: list[Any]) -> None:
    warnings.resetwarnings()  # for the sake of Python's own note that the filters have changed
    refill(warnings.filters, value)


def _signals() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _restore_signals(value: dict[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # nobody but the main thread can have changed them
    for number, handler in value.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _alarms() -> tuple[bool, ...]:
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return tuple(signal.getitimer(timer)[0] > 0 for timer in timers)


def _restore_alarms(value: tuple[bool, ...]) -> None:
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    for timer, was_set in zip(timers, value, strict=True):
        if not was_set:
            signal.setitimer(timer, 0)


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # a name to go back to
    except OSError:
        return ""  # it was removed


def _limits() -> dict[int, tuple[int, int]]:
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
    return {kind: resource.getrlimit(kind) for kind in kinds}


def _restore_limits(value: dict[int, tuple[int, int]]) -> None:
    for kind, limits in value.items():
        resource.setrlimit(kind, limits)


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _restore_affinity(value: set[int]) -> None:
    os.sched_setaffinity(0, value)


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _restore_priority(value: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, value)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _loggers() -> dict[str, tuple[Any, ...]]:
    known = logging.Logger.manager.loggerDict
    loggers = {name: logger for name, logger in known.items() if isinstance(logger, logging.Logger)}
    return {
        name: (logger.level, logger.disabled, logger.propagate, list(logger.handlers), list(logger.filters))
        for name, logger in {"": logging.root, **loggers}.items()
    }


def _restore_loggers(value: dict[str, tuple[Any, ...]]) -> None:
    for name, (level, disabled, propagate, handlers, filters) in value.items():
        logger = logging.getLogger(name or None)
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate
        logger.handlers[:], logger.filters[:] = handlers, filters


def _same_text(before: object, now: object) -> bool:
    return repr(before) == repr(now)


def _same_loggers(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether nothing happened to the loggers that there were; whoever imports a library gets new ones."""
    return all(name in now and same(logger, now[name]) for name, logger in before.items())


def _pandas_options() -> dict[str, Any]:
    config = sys.modules["pandas._config.config"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some options are on their way out
        return {name: copy.copy(config.get_option(name)) for name in config._registered_options}


def _restore_pandas_options(value: dict[str, Any]) -> None:
    config = sys.modules["pandas._config.config"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, option in value.items():
            if config.get_option(name) != option:
                config.set_option(name, option)


_NUMPY = (
    State("numpy error state", np.geterr, lambda value: np.seterr(**value)),
    State("numpy error call", np.geterrcall, np.seterrcall),
    State("numpy random state", np.random.get_state, np.random.set_state),
    State("numpy print options", np.get_printoptions, lambda value: np.set_printoptions(**value)),
)

_PYTHON = (
    State("alarms", _alarms, _restore_alarms),  # first: one that went off would break the others off
    State("signal handlers", _signals, _restore_signals),
    State("random state", random.getstate, random.setstate),
    State("warnings filters", lambda: list(warnings.filters), _restore_filters),
    attribute("warnings.showwarning", "warnings"),
    State("environment variables", lambda: dict(os.environ), _refill_environment),
    State("working folder", _working_folder, os.chdir),
    State("file mode mask", _umask, os.umask),
    State("resource limits", _limits, _restore_limits),
    State("processors", _affinity, _restore_affinity),
    State("priority", _priority, _restore_priority),
    State("locale", lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    State("loggers", _loggers, _restore_loggers, agrees=_same_loggers),
    State("logging.disable", lambda: logging.root.manager.disable, lambda value: logging.disable(value)),
    State("logger class", logging.getLoggerClass, logging.setLoggerClass),
    State("sys.path", lambda: list(sys.path), lambda value: refill(sys.path, value)),
    State("sys.argv", lambda: list(sys.argv), lambda value: refill(sys.argv, value)),
    State("sys.meta_path", lambda: list(sys.meta_path), lambda value: refill(sys.meta_path, value)),
    attribute("sys.stdout", "sys"),
    attribute("sys.stderr", "sys"),
    attribute("sys.stdin", "sys"),
    attribute("sys.excepthook", "sys"),
    attribute("sys.displayhook", "sys"),
    attribute("threading.excepthook", "threading"),
    State("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    State("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    State("digits of integers", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    State("garbage collection", gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    State("garbage thresholds", gc.get_threshold, lambda value: gc.set_threshold(*value)),
    State("decimal context", lambda: decimal.getcontext().copy(), decimal.setcontext, agrees=_same_text),
    State("socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout),
    attribute("tempfile.tempdir", "tempfile"),
)

_PANDAS = (State("pandas options", _pandas_options, _restore_pandas_options, "pandas._config.config"),)

STATES: Sequence[State] = (*_PYTHON, *_NUMPY, *_PANDAS)
"""Of Python, NumPy and pandas; those of torch are in `bench.execution.torch_state`."""
