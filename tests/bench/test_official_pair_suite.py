"""The suite `official-pair`: one network, with and without the long history, trained by one rule."""

from __future__ import annotations

from bench.plan import complete_config
from bench.registry import model_class
from bench.suite_files import load_suite


def test_the_rows_differ_by_what_reads_the_long_history_alone() -> None:
    rows = {entry.row: entry for entry in load_suite("official-pair").models}
    tiger, glass = (
        complete_config(model_class(rows[name].model), dict(rows[name].config), name)
        for name in ("tiger-t5", "glass-official")
    )
    assert {key: glass[key] for key in tiger} == tiger
    assert set(glass) - set(tiger) == {"sid_tier", "search", "gate_input", "fixed_gate"}


def test_rows_stop_where_validation_no_longer_rises() -> None:
    for entry in load_suite("official-pair").models:
        training = dict(entry.config).get("training")
        if training is not None:
            assert training["patience"] * training["validate_every"] < training["epochs"] / 2
