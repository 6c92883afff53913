"""What a result says of where it comes from."""

from functools import partial
from pathlib import Path

import pytest
import torch

from bench.execution import environment, worker
from bench.spec import DatasetSpec, RunResult, RunSpec

SPEC = RunSpec(dataset=DatasetSpec(name="d"), data_hash="", model="m", revision=1, config={}, seed=0, label="m")


def test_the_commit_may_be_named_where_git_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.commit.cache_clear()
    monkeypatch.setenv("GLASS_BENCH_COMMIT", "abc123")
    assert environment.commit() == "abc123"
    environment.commit.cache_clear()


class FakeGPU:
    """Stands for `torch.cuda`, and keeps what it is asked for; what is in `broken` raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *broken: str) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        for name in ("synchronize", "empty_cache"):
            monkeypatch.setattr(torch.cuda, name, partial(self._ask, name, name in broken))
        monkeypatch.setattr(torch, "rand", lambda *_, **__: self._ask("rand", "rand" in broken))

    def _ask(self, name: str, fails: bool) -> torch.Tensor:
        self.asked.append(name)
        if fails:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nSearch for it.")
        return torch.zeros(1)


def test_kernels_that_a_run_has_left_are_waited_for_before_their_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = FakeGPU(monkeypatch)
    assert environment.free_memory() == []
    assert gpu.asked == ["synchronize", "empty_cache", "rand"]


@pytest.mark.parametrize("broken", ["synchronize", "empty_cache", "rand"])
def test_a_process_whose_gpu_fails_makes_no_other_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    FakeGPU(monkeypatch, broken)
    result = RunResult(spec=SPEC, status="complete")
    worker.supervised(result, tmp_path, lambda pulse: None)
    (words,) = result.left_behind
    assert words.startswith("a GPU that can't be used any more: RuntimeError: CUDA error: an illegal memory access")
    assert result.status == "complete", "what was made before is not its fault"
