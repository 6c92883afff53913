"""How long it takes, and how much memory, to prepare data of TAOBAO-MM's shape for GLASS.

Writes tables as published (users with long histories, clicked samples, int8 embeddings) into a temporary folder, and
takes them through every stage that comes before training, and the first steps of the training itself:

    python tests/benchmarks/prepare_at_scale.py --users 200000
    python tests/benchmarks/prepare_at_scale.py --users 2000 --users 8000 --items 200000  # and the slopes

The generated items lie in clusters, and a user takes items of a few of them, popular ones more often. Memory is the
peak of the resident set during each stage on Linux, pages of memory-mapped files included; elsewhere it is the peak so
far. Processor seconds are those of all threads; on a busy machine they tell more than the clock.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.data.protocols import split
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.data.sources.taobao_mm import load_taobao_mm
from bench.execution.environment import peak_memory, reset_peak_memory
from bench.recommender import FitContext
from models.glass.glass import Glass
from models.glass.sid_tier import code_prototypes, similarity_tiers, tier_edges
from models.history.long_term import RaggedItems
from models.history.semantic_search import SemanticSearchIndex
from models.semantic_ids.item_features import FeatureConfig, item_features
from models.semantic_ids.tokenizer import TokenizerConfig, tokenize
from models.semantic_ids.trie import PrefixTrie
from models.training.windows import TrainingWindows

DIMS = 128
TARGET_ITEMS = 10_000
STEPS = 20
"""Of the training; the memory that a step takes does not depend on how many there are."""

TEST_SHARE = 0.1
"""Share of the users that belong to the test samples."""


@dataclass
class Stages:
    """What was measured so far: name, seconds, processor seconds, peak MiB."""

    rows: list[tuple[str, float, float, float]]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        reset_peak_memory("cpu")
        started, worked = time.perf_counter(), time.process_time()
        yield
        seconds, processor = time.perf_counter() - started, time.process_time() - worked
        peak = peak_memory("cpu")["peak_memory_mib"]
        self.rows.append((name, seconds, processor, peak))
        print(f"| {name:<45} | {seconds:>7.1f} | {processor:>7.1f} | {peak / 1024:>5.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of preparing data of TAOBAO-MM's shape.")
    parser.add_argument("--users", type=int, action="append", help="20,000 by default; two sizes give slopes")
    parser.add_argument("--events", type=int, default=1_000, help="events of a user's history")
    parser.add_argument("--items", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder goes; needs 25 GB")
    arguments = parser.parse_args()
    sizes, measured = arguments.users or [20_000], []
    for users in sizes:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            os.environ[DATA_FOLDER_VARIABLE] = folder
            write_tables(Path(folder) / "taobao-mm" / "raw", users, arguments.events, arguments.items)
            measured.append(prepare(Path(folder) / "cache"))
    if len(sizes) > 1:
        print_slopes(measured[0], measured[-1], (sizes[-1] - sizes[0]) * arguments.events)


def print_slopes(small: Stages, large: Stages, events: int) -> None:
    """What `events` more events cost in each stage: seconds a million, bytes of peak memory each."""
    print("\n| stage | processor seconds, a million events | bytes of peak memory, an event |\n| --- | --- | --- |")
    for (name, _, before, low), (_, _, after, high) in zip(small.rows, large.rows, strict=True):
        print(f"| {name} | {1e6 * (after - before) / events:.2f} | {2**20 * (high - low) / events:.1f} |")


def prepare(cache_folder: Path) -> Stages:
    """Takes the generated tables through all stages, printing a line after each."""
    print("| stage | seconds | processor seconds | peak, GiB |\n| --- | --- | --- | --- |")
    stages, cache = Stages([]), ArtifactCache(cache_folder)
    config = TokenizerConfig(features=FeatureConfig(text_dims=0, collaborative_dims=0))
    with stages.stage("tables as published -> arrays, content hash"):
        dataset = load_taobao_mm()
    with stages.stage("split"):
        train = split(dataset, "shipped").train
    with stages.stage("item features from int8 embeddings"):
        features = item_features(train, config.features, cache)
    del features
    with stages.stage("semantic IDs: RQ-k-means, assignment, tokens"):
        ids = tokenize(train, config, cache)
    with stages.stage("prefix trie"):
        trie = PrefixTrie(ids, train.interactions.item_counts(), "cpu")
    del trie
    with stages.stage("SID-Tier: features, prototypes, tiers"):
        features = item_features(train, config.features, cache)
        prototypes = code_prototypes(features, ids.codes[:, 0], ids.codebook_sizes[0])
        tiers = similarity_tiers(features, prototypes, tier_edges(20))
    del features
    first_codes = torch.from_numpy(ids.codes[:, 0].copy())
    with stages.stage("retrieval index"):
        events = RaggedItems.from_arrays(train.interactions.items, train.interactions.offsets, "cpu")
        index = SemanticSearchIndex(events.items, events.offsets, first_codes, ids.codebook_sizes[0])
    with stages.stage("index pairs of one epoch, first batch"):
        windows = TrainingWindows(train.interactions, 50, 1024, "cpu")
        batch = next(iter(windows.epoch(np.random.default_rng(0))))
        index.search(batch.users, batch.starts, first_codes[batch.targets.clamp(min=0)], 20)
    n_tiers = tiers.nbytes
    del index, events, windows, batch, ids, tiers
    with stages.stage(f"training: glass as it is, {STEPS} steps"):
        train_glass(train, config, cache)
    _, seconds, processor, peaks = zip(*stages.rows, strict=True)
    interactions = dataset.interactions
    print(
        f"\n{interactions.n_users:,} users, {interactions.n_events:,} events, {interactions.n_items:,} items, "
        f"{n_tiers // 2**20:,} MiB of tiers; {sum(seconds) / 60:.1f} minutes, "
        f"{sum(processor) / 60:.1f} processor minutes, peak {max(peaks) / 1024:.2f} GiB"
    )
    return stages


class _EnoughError(Exception):
    """So many steps were to be measured, and no more."""


def train_glass(train: TrainingData, tokenizer: TokenizerConfig, cache: ArtifactCache) -> None:
    """Begins a fit of `glass`, with its own defaults, and breaks it off after `STEPS` steps."""
    reports = iter(range(STEPS // 10 - 1))

    def report_progress(fraction: float, words: str) -> None:  # after every ten steps
        if next(reports, None) is None:
            raise _EnoughError

    context = FitContext(0, "cpu", cache, lambda recommender: 0.0, report_progress)
    with suppress(_EnoughError):
        Glass({"tokenizer": tokenizer.model_dump()}).fit(train, context)


def write_tables(folder: Path, users: int, events: int, items: int) -> None:
    """Writes the six tables of TAOBAO-MM, chunk by chunk."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    clusters = max(1, items // 5_000)
    # So few that most of them have the five clicks that a target item needs.
    targets = rng.choice(items, min(TARGET_ITEMS, items // 10, users // 10), replace=False)

    schema = pa.schema([("205", pa.int64()), ("205_c", pa.list_(pa.int8()))])
    centres = rng.normal(size=(clusters, DIMS)).astype(np.float32)
    with pq.ParquetWriter(folder / "scl_embedding_int8_p90.parquet", schema) as writer:
        for start in range(0, items, 1 << 17):
            item = np.arange(start, min(items, start + (1 << 17)))
            vectors = centres[item % clusters] + rng.normal(scale=0.7, size=(len(item), DIMS)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            quantised = (vectors * 127).astype(np.int8)
            writer.write_table(pa.table([_id_of(item), _lists(quantised)], schema=schema))
    described = rng.choice(items, items // 8, replace=False)
    _write(folder / "item_features.parquet", {"205": _id_of(described), "206": described % clusters})

    first_test_user = users - max(2, round(TEST_SHARE * users))
    for part, first, last in (("train", 0, first_test_user), ("test", first_test_user, users)):
        schema = pa.schema(
            [("129_1", pa.int64()), ("150_2_180", pa.list_(pa.int64())), ("151_2_180", pa.list_(pa.int64()))]
        )
        with pq.ParquetWriter(folder / f"{part}_user_features.parquet", schema) as writer:
            for start in range(first, last, 2_000):
                user = np.arange(start, min(last, start + 2_000))
                taste = rng.integers(0, clusters, (len(user), 8))
                cluster = np.take_along_axis(taste, rng.integers(0, 8, (len(user), events)), axis=1)
                place = (rng.random((len(user), events)) ** 2 * (items // clusters)).astype(np.int64)
                table = pa.table([user, _lists(_id_of(place * clusters + cluster)), _lists(cluster)], schema=schema)
                writer.write_table(table)
        # Seven samples a user, of which the first is a click and the second is one for two users of five.
        user = np.repeat(np.arange(first, last), 7)
        clicked = (np.arange(len(user)) % 7 == 0) | ((np.arange(len(user)) % 7 == 1) & (user % 5 < 2))
        label = _lists(np.column_stack([~clicked, clicked]).astype(np.int8))
        item = _id_of(rng.choice(targets, len(user)))
        _write(folder / f"{part}_samples.parquet", {"label_0": label, "129_1": user, "205": item})


def _id_of(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids as spread out as published ones."""
    return 7_919 * items + 100_003


def _lists(rows: NDArray[np.integer]) -> pa.ListArray:
    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)))


def _write(path: Path, columns: dict[str, NDArray[np.integer] | pa.Array]) -> None:
    pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    main()
