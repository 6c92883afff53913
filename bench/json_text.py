"""JSON of files that somebody may have edited: plans, studies, heartbeats, results."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from bench.plain_text import quoted

_MOST_VALUES = 500_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str, finite: bool = True) -> Any:
    """Reads the value of a JSON document.

    Args:
        text: The document.
        finite: Whether `NaN` and `Infinity`, which JSON does not know and Python writes, are refused.

    Raises:
        ValueError: It is no JSON, has a key twice in a mapping, nests endlessly, or holds a number or text that no
            table could hold. One sentence.
    """
    if text.count(",") > _MOST_VALUES:
        raise ValueError(f"more than {_MOST_VALUES:,} values")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_mapping,
            parse_int=_whole,
            parse_float=_real if finite else None,
            parse_constant=_constant if finite else None,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, at half of a pair
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        raise ValueError(f"key {quoted(keys.most_common(1)[0][0])} is there twice")
    return content


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"{digits[:30]} is too large: whole numbers have 64 bits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:30]} is no finite number")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no finite number")
