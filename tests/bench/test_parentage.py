"""Work in other processes: shared among calls where that is asked for, and errors come back."""

from __future__ import annotations

import os
import time

import pytest

from bench.parentage import begun_in_worker_processes, common_workers, in_worker_processes


def process_of(_: int) -> int:
    """The process that does this; slow enough for another one to take the next call."""
    time.sleep(0.05)
    return os.getpid()


def broken(number: int) -> int:
    raise ValueError(f"no {number}")


def test_calls_share_their_processes_where_that_is_asked_for() -> None:
    with common_workers(2):
        shared = [set(in_worker_processes(process_of, [(n,) for n in range(6)], 2)) for _ in range(3)]
        begun = begun_in_worker_processes(process_of, [(1,)], 2)
        assert in_worker_processes(process_of, [(1,)], 1) == [os.getpid()]
        last = set(begun())
    assert len(set.union(*shared, last)) <= 2
    assert os.getpid() not in set.union(*shared)
    alone = set(in_worker_processes(process_of, [(1,)], 2))
    assert not alone & set.union(*shared)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_back_with_the_results(processes: int) -> None:
    with common_workers(processes):
        wait = begun_in_worker_processes(broken, [(3,)], processes)
        with pytest.raises(ValueError, match="no 3"):
            wait()
