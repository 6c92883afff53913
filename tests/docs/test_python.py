"""The page about Python and its notebook: every block runs, in order, and the notebook is committed without outputs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pages import DOCS, blocks
from test_commands import own_files  # noqa: F401  # a fixture

from bench.analysis.columns import METRICS
from bench.data import catalog
from bench.serving.lists import RECOMMENDATION_COLUMNS

PAGE, NOTEBOOK = DOCS / "guide" / "python.md", DOCS / "guide" / "python.ipynb"


def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def carry_out(parts: Iterable[str]) -> dict[str, Any]:
    """Runs blocks one after the other in one namespace, and returns it."""
    names: dict[str, Any] = {}
    for part in parts:
        exec(compile(ast.parse(part), "block", "exec"), names)
    catalog.load_dataset.cache_clear()
    return names


def test_every_block_of_the_page_runs(
    own_files: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = carry_out(block.text for block in blocks(PAGE) if block.language == "python")
    assert "unknown model 'glas': did you mean glass or" in capsys.readouterr().out
    assert (own_files / "why.html").is_file()
    assert names["results"].complete


def test_the_page_names_the_columns() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in (*METRICS.names, *RECOMMENDATION_COLUMNS) if f"`{name}`" not in text] == []


def test_the_notebook_is_committed_without_outputs() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) > 8
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("did you mean glass" in str(output) for output in outputs)
    assert any("'True'" in str(output) or "True" in str(output.get("data", "")) for output in outputs), "same lists"
    assert (tmp_path / "results").is_dir()
