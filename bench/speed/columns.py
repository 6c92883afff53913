"""The columns of `speed.csv`, named once, with their kinds and meanings."""

from __future__ import annotations

from bench.analysis.declared import FrameColumns, number, text, whole

SCHEMA = 1
"""Version of the columns; raise it when one changes its meaning or goes."""

STEP, ANSWER, PREPARATION = "training step", "answer", "preparation"
"""What is measured, as the column `measure` calls it."""

SPEED = FrameColumns(
    "speed",
    "one measured time of a row at a setting",
    (
        whole("schema", "version of the columns, see `bench.speed.columns.SCHEMA`"),
        text("row", "label of the row"),
        text("model", "the registered model behind it"),
        text(
            "measure",
            f"'{STEP}', '{ANSWER}' (to all queries together) or '{PREPARATION}' (of a fit)",
        ),
        text("device", "'cpu' or 'cuda'"),
        text("hardware", "name of the processor or the GPU"),
        whole("threads", "of the process"),
        whole("length", "events of every history"),
        whole("items", "of the catalogue"),
        whole("events", "padded events of a training step"),
        whole("devices", "that train together"),
        number("beam", "width of the beam search; blank: as the row has it, or none"),
        number("queries", "answered at a time; blank but for answers"),
        number("repeats", "times behind the median"),
        number("median_ms", "median, in milliseconds; blank where nothing was measured"),
        number("low_ms", "lower quartile"),
        number("high_ms", "upper quartile"),
        number("per_second", "queries a second, of answers"),
        number("peak_memory_mib", "peak memory: of the process, or on a GPU of its tensors"),
        number("parameters", "learned parameters"),
        number("gflop", "10^9 multiplications and additions in matrix products, counted; blank: could not be"),
        number(
            "floor_ms",
            "least time on this machine: of counted products, or of passes over the parameters",
        ),
        text("bound", "which of the two it is, 'arithmetic' or 'bandwidth'"),
        number("share", "floor_ms / median_ms"),
        text("status", "'complete', 'failed' or 'skipped'"),
        text("reason", "why it is not complete"),
        text("commit", "of this project"),
    ),
    "speed.csv",
)
