"""One run must not change another: what a run did to its process is undone, and what can't be undone is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.execution.patches import Code
from bench.execution.process_state import STATES, State
from bench.execution.torch_state import TORCH_STATES, modes

_MOST_NAMED = 10


@contextlib.contextmanager
def isolated(left_behind: list[str]) -> Iterator[None]:
    """A block after which the process is as before.

    Args:
        left_behind: Gets what is not, or not for sure; it is said on standard error, too. No other run should be made
            in such a process.
    """
    before = ProcessState.now()
    try:
        yield
    finally:
        left_behind += before.restore()
        if left_behind:
            with contextlib.suppress(OSError):  # the run may have closed anything
                os.write(2, f"this process is not used again; the run left behind: {'; '.join(left_behind)}\n".encode())


@contextlib.contextmanager
def as_at(moment: ProcessState) -> Iterator[None]:
    """A block in which the process is as it was at a moment; afterwards it is again as before the block."""
    before = ProcessState.now()
    moment.restore()
    try:
        yield
    finally:
        before.restore()


@dataclass(frozen=True)
class ProcessState:
    """All that a run may change of its process, at a moment.

    Attributes:
        values: What each state was.
        code: What functions and classes there were.
        threads: Those that were running.
        modes: How many modes of torch intercept its functions.
    """

    values: list[tuple[State, Any]]
    code: Code
    threads: set[threading.Thread]
    modes: int

    @classmethod
    def now(cls) -> ProcessState:
        values = []
        for state in (*STATES, *TORCH_STATES):
            with contextlib.suppress(Exception):  # what can't be read now was changed before; it is left as it is
                values += [(state, state.read())] if state.exists else []
        return cls(values, Code.now(), set(threading.enumerate()), modes())

    def restore(self) -> list[str]:
        """Sets everything back; returns in words what could not be, or not for sure."""
        self._restore_states()  # first, since some of them replace attributes of their library
        patched = self.code.put_back()
        stuck = self._restore_states()  # and again with functions that are what they seem
        left = [f"replaced: {_listed(patched)}"] if patched else []
        left += [f"changed: {name}" for name in stuck]
        started = [thread.name for thread in threading.enumerate() if thread not in self.threads]
        if started:
            left.append(f"threads that still run: {_listed(started)}")
        if multiprocessing.active_children():
            left.append("processes that still run")
        if modes() != self.modes:
            left.append("modes of torch")
        return left

    def _restore_states(self) -> list[str]:
        """Sets back what differs; returns the names of what still does."""
        changed = [(state, value) for state, value in self.values if not _agrees(state, value)]
        for state, value in changed:
            with contextlib.suppress(Exception):
                state.restore(value)
        return [state.name for state, value in changed if not _agrees(state, value)]


def _agrees(state: State, before: Any) -> bool:
    try:
        return state.agrees(before, state.read())
    except Exception:  # it can't even be read any more
        return False


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
