"""Seconds of an epoch and NDCG@10 of our SASRec and HSTU beside those of RecTools and RecBole, in one run.

    python tests/benchmarks/peers.py                                        # MovieLens 100K, all that are installed
    python tests/benchmarks/peers.py --data generated --repeats 3           # of the order of MovieLens 1M
    python tests/benchmarks/peers.py --rows sasrec-ce,peer:rectools-sasrec --epochs 30
    python tests/benchmarks/peers.py --official-glass PATH --device cuda    # a copy of github.com/cst20/GLASS instead

RecTools (`pip install "rectools[torch]"`) wants NumPy 1, so it gets a virtual environment that this project is
installed in, too. RecBole comes with this project on Python before 3.12; it trains on every prefix by itself, which
takes minutes an epoch, so give it a sample (`--users 60`). What is not installed is left out with a word.

All networks are d wide, with as many blocks and two heads, and read the last `--length` events. All get the same
training events, each user's last `--length` + 1, which is all that RecTools looks at: an epoch has the same targets
everywhere. A step has `--sequences` windows of full length, of RecBole as many targets. The loss (cross-entropy over
the catalogue), the number of epochs and dropout are the same; of RecBole the last is its own. Learning rate, the rest
of the optimiser, initial weights and the form of the network are each side's own, of peers the defaults. Nobody is
validated or stopped early.

Sides take turns: each is trained once, then each again (`--repeats`). Times are those of whole epochs, batches
included, from the second epoch on, by the clock and in processor seconds of all threads; a busy machine disturbs the
latter less. The test queries are answered by each side's own means and judged by our evaluation. RecTools' HSTU wants
to know when somebody asks; it is told the time of the last event, since our models know no more.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import official_glass
import pandas as pd
import torch
from peer_rows import COMPARED, ROWS, Clock, Contest

from bench.data import catalog
from bench.data.dataset import Dataset, ItemTable
from bench.data.interactions import Interactions
from bench.data.protocols import split
from bench.errors import BenchError, SkippedRun
from bench.evaluation.evaluator import validation_ndcg
from bench.execution.environment import device_name

USERS, EVENTS, ITEMS = 6_040, 165, 3_706
"""Of generated data: users, events of each and items, as MovieLens 1M has on average."""

FOLLOWERS, FOLLOWED = 8, 0.6
"""Of generated data: items that tend to come after an item, and how often one of them does."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Our SASRec and HSTU beside those of other libraries.")
    parser.add_argument("--data", default="ml-100k", help="a registered data set, or 'generated'")
    parser.add_argument("--users", type=int, default=None, help="a sample of so many; of generated data: how many")
    parser.add_argument("--rows", default=",".join(ROWS), help="comma-separated")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=16, help="windows of a training step")
    parser.add_argument("--length", type=int, default=100, help="most events that a network reads")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--official-glass", type=Path, help="compare glass-official with this copy of the official code"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="with --official-glass")
    parser.add_argument("--batch", type=int, default=official_glass.Sizes.batch, help="targets, with --official-glass")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32", help="with --official-glass")
    parser.add_argument("--queries", default="128,1", help="users answered at a time, with --official-glass")
    arguments = parser.parse_args()
    if arguments.official_glass:
        queries = arguments.queries.split(",")
        if not all(number.isdecimal() and int(number) for number in queries):
            parser.error(f"--queries: numbers of users from 1 on, comma-separated, and not '{arguments.queries}'")
        sizes = official_glass.Sizes(batch=arguments.batch, queries=tuple(map(int, queries)))
        try:
            print(
                official_glass.held(
                    arguments.official_glass, arguments.device, arguments.threads, sizes, arguments.precision
                )
            )
        except SkippedRun as skipped:
            parser.error(str(skipped))
        return
    rows = [row.strip() for row in arguments.rows.split(",")]
    unknown = [row for row in rows if row not in ROWS]
    if unknown or arguments.epochs < 2:
        parser.error(
            f"unknown row '{unknown[0]}': choose from {', '.join(ROWS)}" if unknown else "--epochs: at least 2"
        )
    torch.set_num_threads(arguments.threads)
    try:
        if arguments.data == "generated":
            dataset = generated(arguments.users or USERS)
        else:
            dataset = catalog.load_dataset(arguments.data, sample_users=arguments.users)
        contest = contest_on(dataset, length=arguments.length, sequences=arguments.sequences, epochs=arguments.epochs)
    except BenchError as error:
        parser.error(str(error))
    print(described(contest, arguments.data), flush=True)
    print(table_of(held(contest, rows, arguments.repeats)))


def generated(users: int, seed: int = 0) -> Dataset:
    """Histories in which an item is often followed by one of its own followers; else it is drawn by its popularity."""
    random = np.random.default_rng(seed)
    weights = np.cumsum(1 / np.arange(1, ITEMS + 1) ** 0.8)
    drawn = np.searchsorted(weights, random.random((users, EVENTS)) * weights[-1]).clip(max=ITEMS - 1)
    followers = random.integers(ITEMS, size=(ITEMS, FOLLOWERS))
    for place in range(1, EVENTS):
        follows = random.random(users) < FOLLOWED
        followed = followers[drawn[:, place - 1], random.integers(FOLLOWERS, size=users)]
        drawn[:, place] = np.where(follows, followed, drawn[:, place])
    times = np.cumsum(random.exponential(3600, (users, EVENTS)).astype(np.int64) + 1, axis=1) + 1_600_000_000
    offsets = np.arange(users + 1, dtype=np.int64) * EVENTS
    return Dataset(
        name="generated",
        interactions=Interactions(drawn.ravel().astype(np.int32), times.ravel(), offsets, ITEMS),
        item_table=ItemTable(pd.DataFrame(index=range(ITEMS)), (), None),
        item_ids=np.arange(ITEMS).astype(np.str_),
        user_ids=np.arange(users).astype(np.str_),
        seen_items="keep",
        baskets=False,
        licence="",
        source="",
        content_hash=f"generated-{users}-{seed}",
    )


def contest_on(dataset: Dataset, **sizes: Any) -> Contest:
    """Everybody's last event is the test, and the events before the last two are for training."""
    parts = split(dataset, "leave-one-out")
    kept = _latest(parts.train.interactions, sizes["length"] + 1)
    return Contest(replace(parts.train, interactions=kept), parts.test, **sizes)


def _latest(interactions: Interactions, length: int) -> Interactions:
    """Each user's last events."""
    left = np.repeat(interactions.lengths, interactions.lengths) - interactions.positions()
    chosen = left <= length
    offsets = np.concatenate([[0], np.cumsum(np.minimum(interactions.lengths, length))]).astype(np.int64)
    return Interactions(interactions.items[chosen], interactions.timestamps[chosen], offsets, interactions.n_items)


@dataclass
class Figures:
    """What was seen of a row: seconds of every epoch by the clock and of the processor, and NDCG@10 of every fit."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    ndcg: list[float] = field(default_factory=list)


def held(contest: Contest, rows: list[str], repeats: int) -> dict[str, Figures]:
    """Trains and asks every row in turn, and all of them again; rows that are not installed are named and left out."""
    figures: dict[str, Figures] = {}
    absent: set[str] = set()
    for repeat in range(repeats):
        for row in rows:
            if row in absent:
                continue
            clock = Clock()
            try:
                recommender = ROWS[row](replace(contest, seed=repeat), clock)
            except SkippedRun as skipped:
                absent.add(row)
                print(f"left out {row}: {skipped}", flush=True)
                continue
            seen = figures.setdefault(row, Figures())
            seen.clock += clock.epochs(0)
            seen.processor += clock.epochs(1)
            seen.ndcg.append(validation_ndcg(recommender, contest.test))
            wall, processor = (statistics.median(clock.epochs(kind)) for kind in (0, 1))
            found = f"{wall:.2f} s an epoch, {processor:.2f} of the processor, NDCG@10 {seen.ndcg[-1]:.4f}"
            print(f"{row}: {found}", flush=True)
    return figures


def described(contest: Contest, data: str) -> str:
    """What is measured, and where."""
    events, users = contest.train.interactions.n_events, contest.train.interactions.n_users
    packages = [
        f"PyTorch {torch.__version__}",
        *(f"{name} {version(name)}" for name in ("numpy", "rectools", "recbole") if _there(name)),
    ]
    return (
        f"{data}: {users:,} users, {contest.train.n_items:,} items, {events - users:,} targets an epoch, "
        f"{contest.length} events read, {contest.sequences} sequences a step, {contest.epochs} epochs, "
        f"d {contest.dim}, {contest.blocks} blocks\n"
        f"{device_name('cpu')}, {torch.get_num_threads()} threads, {', '.join(packages)}"
    )


def _there(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def table_of(figures: dict[str, Figures]) -> str:
    """A line for each row: medians with quartiles, and how many times as long a peer takes as our row."""
    lines = ["", "| | s an epoch | processor s | of ours | NDCG@10 |", "| --- | --- | --- | --- | --- |"]
    for row, seen in figures.items():
        own = figures.get(COMPARED.get(row, ""))
        ratio = (
            ""
            if own is None
            else (
                f"{statistics.median(seen.clock) / statistics.median(own.clock):.1f} x "
                f"({statistics.median(seen.processor) / statistics.median(own.processor):.1f} x processor)"
            )
        )
        spread = f" ± {statistics.stdev(seen.ndcg):.4f}" if len(seen.ndcg) > 1 else ""
        lines.append(
            f"| {row} | {_median(seen.clock)} | {_median(seen.processor)} | {ratio} "
            f"| {statistics.mean(seen.ndcg):.4f}{spread} |"
        )
    return "\n".join(lines)


def _median(seconds: list[float]) -> str:
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
