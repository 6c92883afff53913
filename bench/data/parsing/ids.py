"""What makes two ids one: a rule for each cell by itself, so that it is the same in every file of a data set.

An id is the text of its cell, with four exceptions: blanks around it don't count, nor does the Unicode form in which
its letters are written (NFC stands for all), a whole number that was written as a fraction (`7.0`) is that number, and
`-0` is `0`. All else stays apart: `007`, `+7` and `7e0` are texts of their own beside `7`, which is said where both
occur.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING_WORDS = frozenset(
    {"na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "nil", "undefined", "\\n"}
)
"""What other programs write for a missing value, in small letters. As an id such a word is text, but a suspect one."""

NO_NUMBER = frozenset(form for word in MISSING_WORDS for form in (word, word.upper(), word.title(), "NaN", "NaT"))
"""These words as they are written; in a column of numbers or times they can be nothing else than empty cells."""

_WHOLE_AS_FRACTION = r"^(-?(?:0|[1-9][0-9]*))\.0*$"
_PLAIN_NUMBER = r"^(?:0|[1-9][0-9]{0,17})$"
_ANY_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")
_ROUNDED = r"^-?[0-9]\.[0-9]{14,}[eE][+]?[0-9]+$"
_CUT = r"^-?[0-9]\.[0-9]{1,6}E\+0*([7-9]|[1-9][0-9]+)$"
_EXAMPLES = 3

EXACT_BELOW = {16: 2**11, 32: 2**24, 64: 2**53}
"""Up to where a float of so many bits tells a whole number from its neighbours."""

LOST_DIGITS = "a number that lost digits on its way"


def canonical(values: pa.Array) -> pa.Array:
    """Turns each text into the id that it is. Two cells are one id where this gives the same."""
    values = pc.utf8_trim_whitespace(values)
    if not pc.all(pc.string_is_ascii(values), min_count=0).as_py():
        values = _composed(values)
    if pc.any(pc.match_substring(values, "."), min_count=0).as_py():
        values = pc.replace_substring_regex(values, _WHOLE_AS_FRACTION, r"\1")
    return pc.if_else(pc.equal(values, "-0"), "0", values)


def _composed(values: pa.Array) -> pa.Array:
    """Brings texts into Unicode's form NFC; what pyarrow 25 calls so is another form."""
    encoded = values.dictionary_encode()
    names = [None if name is None else unicodedata.normalize("NFC", name) for name in encoded.dictionary.to_pylist()]
    return pa.array(names, values.type).take(encoded.indices)


def merged(values: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Numbers values, of which some may be equal: the index of each among the distinct ones; and these, sorted.

    Whole numbers are sorted as such, else text by code point: so numbering depends on the ids alone, and not on the
    order of a file's rows.
    """
    encoded = values.dictionary_encode()
    names, first = encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)
    if len(names) and pc.all(pc.match_substring_regex(names, _PLAIN_NUMBER)).as_py():
        order = np.argsort(names.cast(pa.int64()).to_numpy(), kind="stable")
    else:
        order = pc.sort_indices(names).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[first], names.take(pa.array(order))


def rounded(values: pa.Array) -> NDArray[np.bool_]:
    """Marks long numbers that lost digits on their way into the file (`1.2345678901234568e+19`): they name nobody.

    So did those that were cut (see `cut`).
    """
    return pc.match_substring_regex(values, _ROUNDED).to_numpy(zero_copy_only=False) | cut(values)


def cut(values: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Marks numbers as a spreadsheet shows, and so saves, long ones: `5.90123E+12`, of whose 13 digits 6 are left."""
    return pc.fill_null(pc.match_substring_regex(values, _CUT), False).to_numpy(zero_copy_only=False)


def missing_words(names: pa.Array) -> list[int]:
    """Finds the indices of ids that are words for a missing value."""
    words = pa.array(sorted(MISSING_WORDS))
    return np.flatnonzero(pc.is_in(pc.ascii_lower(names), words).to_numpy(zero_copy_only=False)).tolist()


def alike(names: pa.Array) -> list[tuple[str, str]]:
    """Pairs of ids that are equal as numbers, but no one id, such as (`007`, `7`); at most `_EXAMPLES`."""
    unusual = pc.and_not(
        pc.match_substring_regex(names, r"^[+-]?[0-9][0-9.eE+-]*$"), pc.match_substring_regex(names, _PLAIN_NUMBER)
    )
    if not pc.any(unusual, min_count=0).as_py():
        return []
    written = [name for name in names.filter(unusual).to_pylist() if _ANY_NUMBER.fullmatch(name)]
    others = set(names.filter(pc.invert(unusual)).to_pylist())
    by_value: dict[str, str] = {}
    pairs = []
    for name in written:
        value = _value(name)
        twin = value if value in others else by_value.get(value)
        if twin is not None:
            pairs.append((name, twin))
        by_value.setdefault(value, name)
    return pairs[:_EXAMPLES]


def _value(number: str) -> str:
    """A number in its plainest form, as text."""
    if number.isdigit():
        return number.lstrip("0") or "0"
    value = Decimal(number)
    return str(int(value)) if value == value.to_integral_value() else str(value.normalize())
