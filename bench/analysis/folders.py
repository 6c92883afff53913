"""Two results folders against each other, row by row: A, the older say, and B. Did B get worse?

Unlike `comparisons`, which are between rows of one suite, this is one row before and after a change. B is tested
against A on the same queries, over the seeds that both have completed; results on different data are not compared at
all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis import significance
from bench.analysis.runs import Run, SuiteRuns
from bench.analysis.significance import ALPHA, PairedComparison, holm
from bench.config import changes
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.spec import RunResult

RowName = tuple[str, str]
"""Label of the data set, label of the row."""


@dataclass(frozen=True)
class RowPair:
    """A row that both folders have.

    Attributes:
        dataset, label: Of the data set and of the row.
        first, second: The complete results of A and B behind its figures, by seed: those of common seeds, or all where
            no seed is in common.
        refusal: Why the two are not compared. "": they are.
        differences: What else than the code may explain a difference: model, revision, configuration, seeds.
        broken: Seeds that are complete in A and failed in B.
        test: B against A. None where refused, or without a common seed.
        p_value: Of the test, with Holm's correction over all tested rows; 1 without a test.
    """

    dataset: str
    label: str
    first: tuple[RunResult, ...]
    second: tuple[RunResult, ...]
    refusal: str = ""
    differences: tuple[str, ...] = ()
    broken: tuple[int, ...] = ()
    test: PairedComparison | None = None
    p_value: float = 1.0

    @property
    def verdict(self) -> str:
        """Of B: "worse", "better", "same ranks", "no significant difference" or "not tested"."""
        if self.test is None:
            return "not tested"
        if self.p_value < ALPHA:
            return "worse" if self.test.difference < 0 else "better"
        return "same ranks" if _same_ranks(self.first, self.second) else "no significant difference"

    @property
    def worse(self) -> bool:
        """Whether B is significantly worse, or failed where A was complete."""
        return self.verdict == "worse" or bool(self.broken)


@dataclass(frozen=True)
class OneSided:
    """A row that one folder has.

    Attributes:
        folder: "A" or "B".
        dataset, label: Of the data set and of the row.
        note: Where the other folder has it with other queries.
    """

    folder: str
    dataset: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class FolderComparison:
    """All rows of two folders.

    Attributes:
        metric: E.g. "ndcg@10", at item level.
        pairs: Rows of both, in the order of A's plan.
        one_sided: Rows of one, A's first.
    """

    metric: str
    pairs: tuple[RowPair, ...]
    one_sided: tuple[OneSided, ...]

    @property
    def compared(self) -> list[RowPair]:
        return [pair for pair in self.pairs if not pair.refusal]

    @property
    def refused(self) -> list[RowPair]:
        return [pair for pair in self.pairs if pair.refusal]

    @property
    def tested(self) -> list[RowPair]:
        return [pair for pair in self.pairs if pair.test]


def compare_folders(first: SuiteRuns, second: SuiteRuns, metric: str) -> FolderComparison:
    """Compares the rows of two folders by their names.

    Args:
        first, second: The planned runs of A and B, with their results.
        metric: E.g. "ndcg@10".

    Raises:
        BenchError: There is no such metric.
    """
    compute(metric, np.zeros(1, dtype=np.int64), K_MAX)  # complains before anything is compared
    left, right = _rows(first), _rows(second)
    pairs = [_pair(name, left[name], right[name], metric) for name in left if name in right]
    p_values = iter(holm([pair.test.p_value for pair in pairs if pair.test]))
    pairs = [replace(pair, p_value=next(p_values)) if pair.test else pair for pair in pairs]
    return FolderComparison(metric, tuple(pairs), (*_one_sided("A", left, right), *_one_sided("B", right, left)))


def scores(results: Sequence[RunResult], metric: str) -> tuple[float, float]:
    """Mean and standard deviation (ddof=1; NaN with one seed) over seeds, at item level."""
    values = []
    for result in results:
        assert result.queries is not None  # a complete result has its queries
        values.append(float(compute(metric, result.queries["item_rank"].to_numpy(), K_MAX).mean()))
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def mean_cost(results: Sequence[RunResult], cost: str) -> float:
    """Mean over runs of "fit_seconds" or "milliseconds_per_user"."""
    return float(np.mean([getattr(result, cost) for result in results]))


def origins(pairs: Iterable[RowPair]) -> list[tuple[str, str, str]]:
    """Commit, and whatever else of hardware and versions differs between the results of A and of B.

    Returns:
        (fact, in A, in B), where several values of one folder are joined by ", ".
    """
    listed = list(pairs)
    sides = [_facts(result for pair in listed for result in side(pair)) for side in (_first, _second)]
    names = dict.fromkeys(["commit", *sides[0], *sides[1]])
    rows = [(name, *(", ".join(side.get(name, ["unknown"])) for side in sides)) for name in names]
    return [(name, left, right) for name, left, right in rows if name == "commit" or left != right]


def _first(pair: RowPair) -> tuple[RunResult, ...]:
    return pair.first


def _second(pair: RowPair) -> tuple[RunResult, ...]:
    return pair.second


def _facts(results: Iterable[RunResult]) -> dict[str, list[str]]:
    """Distinct values of the plain entries of an environment that don't change from run to run."""
    facts: dict[str, dict[str, None]] = {}
    for result in results:
        for name, value in result.environment.items():
            if isinstance(value, (str, int, float)) and name != "started" and not name.startswith("peak_"):
                facts.setdefault(name, {})[str(value) or "unknown"] = None
    return {name: sorted(values) for name, values in facts.items()}


def _rows(planned: SuiteRuns) -> dict[RowName, list[Run]]:
    rows: dict[RowName, list[Run]] = {}
    for run in planned.runs:
        rows.setdefault((run.spec.dataset.label, run.spec.label), []).append(run)
    return rows


def _one_sided(folder: str, here: dict[RowName, list[Run]], there: dict[RowName, list[Run]]) -> list[OneSided]:
    other = "B" if folder == "A" else "A"
    rows = []
    for name in here:
        if name not in there:
            kin = [d for (d, row), runs in there.items() if row == name[1] and _same_name(runs, here[name])]
            note = f"{other} has it on {', '.join(kin)}: another protocol, so not compared" if kin else ""
            rows.append(OneSided(folder, *name, note))
    return rows


def _same_name(first: Sequence[Run], second: Sequence[Run]) -> bool:
    return first[0].spec.dataset.name == second[0].spec.dataset.name


def _pair(name: RowName, first: Sequence[Run], second: Sequence[Run], metric: str) -> RowPair:
    left, right = _complete(first), _complete(second)
    failed = {run.spec.seed for run in second if run.status == "failed"}
    common = [seed for seed in left if seed in right]
    pair = RowPair(
        *name,
        first=tuple(left[seed] for seed in common or left),
        second=tuple(right[seed] for seed in common or right),
        differences=tuple(_differences(first, second, left, right, common)),
        broken=tuple(seed for seed in left if seed in failed),
    )
    refusal = _missing("A", first, left) or _missing("B", second, right) or _other_data(pair)
    if refusal:
        return replace(pair, refusal=refusal)
    test = significance.compare(pair.second, pair.first, metric)
    if test is None and common:
        return replace(pair, refusal=_other_queries(pair))
    return replace(pair, test=test)


def _complete(runs: Sequence[Run]) -> dict[int, RunResult]:
    """The complete results by seed, in the order of the seeds."""
    results = [run.result for run in runs if run.result and run.status == "complete"]
    return {result.spec.seed: result for result in sorted(results, key=lambda result: result.spec.seed)}


def _missing(folder: str, runs: Sequence[Run], complete: dict[int, RunResult]) -> str:
    """Says so where a folder has no complete run of the row, with the reasons."""
    if complete:
        return ""
    counts = Counter(run.status for run in runs)
    reasons = "; ".join(dict.fromkeys(run.reason for run in runs if run.reason))
    statuses = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"no complete run in {folder} ({statuses}{': ' if reasons else ''}{reasons})"


def _other_data(pair: RowPair) -> str:
    """Says so where the results are of different data, or of different candidates."""
    sides = (pair.first, pair.second)
    hashes = [_joined(result.spec.data_hash for result in side) for side in sides]
    if hashes[0] != hashes[1]:
        return f"different data: hash {hashes[0]} in A, {hashes[1]} in B"
    rules = [_joined(result.environment.get("dataset", {}).get("seen_items") for result in side) for side in sides]
    if rules[0] != rules[1]:
        return f"different protocol: items already seen: {rules[0]} in A, {rules[1]} in B"
    return ""


def _other_queries(pair: RowPair) -> str:
    counts = [
        _joined(f"{len(r.queries):,}" for r in side if r.queries is not None) for side in (pair.first, pair.second)
    ]
    if counts[0] == counts[1] == "1":
        return "a single test query: nothing to test over"
    return f"different protocol: not the same users and targets ({counts[0]} test queries in A, {counts[1]} in B)"


def _differences(
    first: Sequence[Run],
    second: Sequence[Run],
    left: dict[int, RunResult],
    right: dict[int, RunResult],
    common: Sequence[int],
) -> list[str]:
    """What a reader should know of two rows of one name, one line each."""
    ours, theirs = first[0].spec, second[0].spec
    lines = []
    if ours.model != theirs.model:
        lines.append(f"model: {ours.model} -> {theirs.model}, with a configuration of its own")
    else:
        if ours.revision != theirs.revision:
            lines.append(f"revision of the model: {ours.revision} -> {theirs.revision}")
        lines += changes(ours.config, theirs.config)
    if left and right and list(left) != list(right):
        basis = f"compared on {_joined(common)}" if common else "none in common, so nothing is tested"
        lines.append(f"complete seeds: {_joined(left)} in A, {_joined(right)} in B; {basis}")
    failed = [run for run in second if run.status == "failed" and run.spec.seed in left]
    if failed:
        reasons = "; ".join(dict.fromkeys(run.reason for run in failed if run.reason))
        lines.append(f"failed in B, complete in A: seeds {_joined(run.spec.seed for run in failed)} ({reasons})")
    return lines


def _same_ranks(first: Sequence[RunResult], second: Sequence[RunResult]) -> bool:
    return all(
        ours.queries is not None
        and theirs.queries is not None
        and ours.queries["item_rank"].equals(theirs.queries["item_rank"])
        for ours, theirs in zip(first, second, strict=True)
    )


def _joined(values: Iterable[object]) -> str:
    """Distinct values, in order of appearance."""
    return ", ".join(dict.fromkeys(str(value) for value in values))
