"""What a run is made with, as it goes from one function to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.data.cache import ArtifactCache
from bench.execution.checkpoints import Checkpointing, RunCheckpoints, checkpoint_folder
from bench.spec import RunSpec


@dataclass(frozen=True)
class RunMeans:
    """What `bench.execution.worker.execute` was told, which says what each of it is.

    Attributes:
        pieces: So many parts of each batch are trained on one after the other, for want of memory.
    """

    results_dir: Path
    device: str
    threads: int
    checkpointing: Checkpointing
    saves: bool = False
    pieces: int = 1
    live: bool = False

    @property
    def cache(self) -> ArtifactCache:
        return ArtifactCache(self.results_dir / "cache")

    def checkpoints(self, spec: RunSpec, saving: bool = True) -> Callable[[dict[str, Any]], RunCheckpoints]:
        """The checkpoints of a run, which go on from what is there, and are kept from now on if `saving`."""
        seconds = self.checkpointing.seconds if saving else math.inf
        return partial(RunCheckpoints, checkpoint_folder(self.results_dir, spec), seconds)
