"""Every model with attention heads refuses, when it is configured, a width that they can't share out equally."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bench.registry import model_class
from models.semantic_ids.famae import FamaeConfig

UNEVEN: dict[str, dict[str, Any]] = {
    "sasrec-ce": {"dim": 9, "heads": 2},
    "sasrec-bce": {"dim": 9, "heads": 2},
    "esasrec": {"dim": 9, "heads": 2},
    "gsasrec": {"dim": 9, "heads": 2},
    "sasrec-ce-copying": {"dim": 9, "heads": 2},
    "sasrec-ce-compressed": {"dim": 9, "heads": 2},
    "h2rec": {"dim": 9, "heads": 2},
    "cobra": {"dim": 9, "heads": 2},
    "rpg": {"dim": 9, "heads": 2},
    "sim": {"dim": 9, "heads": 2},
    "sim-soft": {"dim": 9, "heads": 2},
    "diffgrm": {"dim": 9, "heads": 2},
    "sasrec-recbole": {"hidden_size": 9, "n_heads": 2},
    "tiger": {"network": {"dim": 9, "heads": 2}},
    "glass": {"network": {"dim": 9, "heads": 2}},
    "discrec": {"network": {"dim": 9, "heads": 3}, "branch_heads": 2},
}


@pytest.mark.parametrize("model", UNEVEN)
def test_heads_have_one_width(model: str) -> None:
    with pytest.raises(ValidationError, match=r"9 should be a multiple of .*heads 2"):
        model_class(model)(UNEVEN[model])


def test_so_have_those_of_a_tokenizer() -> None:
    with pytest.raises(ValidationError, match="dim 9 should be a multiple of heads 2"):
        FamaeConfig(dim=9, heads=2)
