"""Which tests were corrected together: every p-value that the report states names its family and that family's size.

One difference can have one p-value and several corrected ones. A question that a suite asked before anything was run
shares its family with the suite's other questions. The same two rows, picked from a table because their figures stand
out, are one of all pairs, among which some stand out by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.number_text import p_value


@dataclass(frozen=True)
class Family:
    """Tests of one data set that Holm's correction was made over.

    Attributes:
        name: As in the column `family` of the CSV files; no two families of a file share one.
        size: Number of tests, as in `family_size`.
        words: Its members as a sentence names them after their number: "pairs of rows".
    """

    name: str
    size: int
    words: str

    @property
    def phrase(self) -> str:
        """E.g. "Holm's correction over all 91 pairs of rows"."""
        return f"Holm's correction over {self.members}"

    @property
    def members(self) -> str:
        """E.g. "all 91 pairs of rows", "the only question of the suite"."""
        one, _, many = self.words.partition("|")
        if self.size == 1:
            return f"the only {one}"
        return f"both {many}" if self.size == 2 else f"all {self.size} {many}"


def all_pairs(size: int) -> Family:
    """Of every two rows with complete runs."""
    return Family("all pairs of rows", size, "pair of rows|pairs of rows")


def of_questions(size: int) -> Family:
    """Of the suite's questions, on all queries."""
    return Family("questions of the suite", size, "question of the suite|questions of the suite")


def of_parts(labels: tuple[str, str], partition: str, size: int) -> Family:
    """Of one question on the parts of one partition of the queries."""
    name = f"{' against '.join(labels)}: parts by {partition}"
    return Family(name, size, "part of this kind|parts of this kind")


def of_comparison(title: str, size: int) -> Family:
    """Of the rows of a comparison, each against the one that they vary."""
    return Family(f"comparison: {title}", size, "row of this comparison|rows of this comparison")


def against_floor(floor: str, size: int) -> Family:
    """Of every other row against the suite's floor."""
    return Family(f"rows against the floor: {floor}", size, f"row against {floor}|rows against {floor}")


def both(p: float, p_holm: float) -> str:
    """Both p-values for a list, whose family is named after it: "p = 0.004, Holm 0.011"."""
    return f"{p_value(p)}, Holm {p_value(p_holm).removeprefix('p ').removeprefix('= ')}"


def in_words(p: float, p_holm: float, family: Family) -> str:
    """Both p-values with the family, for a sentence.

    Example:
        The same small p-value as one of three questions, and as one of 91 pairs with 62 smaller ones before it:

        >>> in_words(0.0035, 0.0105, of_questions(3))
        "p = 0.004; 0.011 with Holm's correction over all 3 questions of the suite"
        >>> in_words(0.0035, 0.1015, all_pairs(91))
        "p = 0.004; 0.102 with Holm's correction over all 91 pairs of rows"
    """
    return f"{p_value(p)}; {p_value(p_holm).removeprefix('p ').removeprefix('= ')} with {family.phrase}"
