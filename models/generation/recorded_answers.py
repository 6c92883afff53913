"""Answers recorded as CUDA graphs: a beam search and all that follows it, replayed without Python.

A search of a small network is a thousand kernels of a few microseconds each, and so a GPU that answers one query, or a
hundred, waits for Python most of the time. Histories differ in length from batch to batch; filled up to one of few
sizes (`in_few_shapes`) they leave few shapes of batches, each recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from models.generation.query_batch import QueryBatch
from models.history.long_term import LongTerm, RaggedItems
from models.recordings import Recordings

MOST_EVENTS = 1 << 22
"""Events of histories beyond which nothing is recorded: a search index sorts no more of them at a time, and asks the
device how to divide them."""

_LEAST_EVENTS = 1 << 12
_LEAST_LONGEST = 1 << 10


@dataclass(frozen=True)
class Answer:
    """Ranked items of a batch of queries, and what its beam search generated.

    Attributes:
        items: int64 `[n, k]`, padded with `PAD`.
        scores: float32 `[n, k]`, -inf at padding.
        sids: int64 `[n, k]`, numbers of the generated semantic IDs, padded with `PAD`.
        generated: int64 scalar, how many semantic IDs were generated.
        valid: int64 scalar, how many of these are some item's.
    """

    items: Tensor
    scores: Tensor
    sids: Tensor
    generated: Tensor
    valid: Tensor

    def on_host(self) -> Answer:
        """The same in the host's memory, which waits for the device."""
        return Answer(*(part.cpu() for part in (self.items, self.scores, self.sids, self.generated, self.valid)))


Answering = Callable[[QueryBatch, int], Answer]
"""Answers queries with lists of a length. On a GPU it may not ask for what lies there, nor depend on it in Python, and
all that it reads of long-term histories beside a search of them is in their summary."""


def in_few_shapes(queries: QueryBatch) -> QueryBatch:
    """The same queries over histories that are filled up to one of few sizes.

    What is filled in is one row more, behind all others, which belongs to no query. Sizes go in eighths of a power of
    two, which the longest history is taken to be below.
    """
    long_term = queries.long_term
    events = long_term.events
    n_events = len(events.items)
    step = max(_LEAST_EVENTS, 1 << max(0, n_events.bit_length() - 4))
    size = -(-n_events // step) * step
    longest = max(_LEAST_LONGEST, 1 << events.longest.bit_length()) - 1
    filled = RaggedItems(F.pad(events.items, (0, size - n_events)), F.pad(events.offsets, (0, 1), value=size), longest)
    return replace(queries, long_term=replace(long_term, events=filled))


def parts_of(queries: QueryBatch) -> dict[str, Tensor]:
    """All that lies on the device of some queries, by name."""
    of_all, events = queries.long_term, queries.long_term.events
    parts = {
        "items": queries.items,
        "n_events": queries.n_events,
        "history": events.items,
        "offsets": events.offsets,
        "rows": of_all.rows,
        "ends": of_all.ends,
        "summary": of_all.summary,
        "seen": queries.seen,
        "gaps": queries.gaps,
    }
    return {name: part for name, part in parts.items() if part is not None}


def of_parts(parts: dict[str, Tensor], longest: int) -> QueryBatch:
    """The queries of such parts, over a ragged array of which no index was made yet."""
    events = RaggedItems(parts["history"], parts["offsets"], longest)
    long_term = LongTerm(events, parts["rows"], parts["ends"], summary=parts.get("summary"))
    return QueryBatch(parts["items"], parts["n_events"], long_term, parts.get("seen"), parts.get("gaps"))


@dataclass(frozen=True)
class _Recorded:
    """A recorded answer: how it is given again, the tensors that it reads its queries from, and where it lies then."""

    replay: Callable[[], None]
    inputs: dict[str, Tensor]
    answer: Answer


class RecordedAnswers:
    """Answers queries on a GPU, by a recording wherever a shape of batch comes back.

    Recordings read the weights where they lie, so that they hold while these change in place.
    """

    def __init__(self) -> None:
        self._recordings: Recordings[_Recorded] = Recordings()
        self._stream: torch.cuda.Stream | None = None

    def __getstate__(self) -> dict[str, object]:
        """Nothing: a recording belongs to the memory of this process."""
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        RecordedAnswers.__init__(self)

    def of(self, answering: Answering, queries: QueryBatch, k: int) -> Answer:
        """What `answering`, the same at every call, answers to the queries, in the host's memory."""
        # Nothing can be recorded on the default stream, and what cuBLAS keeps of a stream has to be there before.
        stream = self._stream = self._stream or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            return self._answer(answering, in_few_shapes(queries), k).on_host()

    def _answer(self, answering: Answering, queries: QueryBatch, k: int) -> Answer:
        parts = parts_of(queries)
        longest = queries.long_term.events.longest
        shape = (k, longest, *((name, part.shape, part.dtype) for name, part in parts.items()))
        few = len(queries.long_term.events.items) <= MOST_EVENTS
        recorded = self._recordings.of(shape, lambda: self._record(answering, parts, longest, k)) if few else None
        if recorded is None:
            return answering(queries, k)
        for name, part in parts.items():
            recorded.inputs[name].copy_(part)
        recorded.replay()
        return recorded.answer  # it is read before anything is replayed again

    def _record(self, answering: Answering, parts: dict[str, Tensor], longest: int, k: int) -> _Recorded:
        """Records the answer to queries of such parts, without giving it."""
        inputs = {name: part.clone() for name, part in parts.items()}
        replay, answer = self._captured(lambda: answering(of_parts(inputs, longest), k))
        return _Recorded(replay, inputs, answer)

    def _captured(self, give: Callable[[], Answer]) -> tuple[Callable[[], None], Answer]:
        """A replay of what `give` asks of the GPU, and where it leaves its answer."""
        graph, pool = torch.cuda.CUDAGraph(), self._recordings.pool
        # Where several GPUs train together, a thread of PyTorch asks after their exchanges, which must not end it.
        with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
            answer = give()
        return graph.replay, answer
