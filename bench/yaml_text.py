"""YAML as suites and `--set` need it: mappings with text as keys, lists, text, finite numbers, true, false and null.

What YAML can do beyond that is refused in one line, in bounded time and memory, since all of it has surprised somebody:
two equal keys, tags that make objects, aliases that multiply, endless nesting, numbers that mean another number. What
YAML 1.1 takes for a truth value or a date though nobody wrote one (`no`, `on`, `2024-01-01`) is text.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.errors import BenchError
from bench.plain_text import quoted

MOST_BYTES = 256 * 1024
"""Of a file: twenty times the largest suite of the project."""

MOST_DEPTH = 40
MOST_VALUES = 20_000
"""With every alias counted as what it stands for."""

_TAG = "tag:yaml.org,2002:"
_MERGE, _TEXT = f"{_TAG}merge", f"{_TAG}str"
_KNOWN = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
_NULLS = ("", "~", "null", "Null", "NULL")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_OTHER_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""Octal and base 60 of YAML 1.1, where a reader sees leading zeros and a time."""


def parse_yaml(text: str, where: str) -> Any:
    """Reads the value of one YAML document.

    Args:
        text: The document, at most `MOST_BYTES` of it.
        where: File or option, for error messages.

    Raises:
        BenchError: It is no YAML, or more than is read here; with the line of a text of several lines.
    """
    if len(text) > MOST_BYTES:
        raise BenchError(f"{where}: broken YAML: {len(text):,} characters are too many")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and "\n" in text else ""
        raise BenchError(f"{where}{line}: broken YAML: {_problem(error)}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without the parts of YAML that are refused here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._depth, self._count = self._depth + 1, self._count + 1
        mark = self.peek_event().start_mark
        if self._depth > MOST_DEPTH:
            raise _Refused(f"nested more than {MOST_DEPTH} deep", mark)
        if self._count > MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES:,} values", mark)
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node.tag not in _KNOWN:
            raise _Refused(
                f"tag {quoted(node.tag.replace(_TAG, '!!'))} makes something else than text or a number", mark
            )
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        self._check_keys(node)
        return super().construct_mapping(node, deep)

    def _check_keys(self, node: MappingNode) -> None:
        """Raises an error at a key that is no text or is there twice; keys that `<<` brings in may be overridden."""
        if not isinstance(node, MappingNode) or getattr(node, "checked", False):
            return
        node.checked = True  # type: ignore[attr-defined]  # merging puts the merged keys among its own
        known: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in (_TEXT, _MERGE):
                shown = f"key {quoted(key.value)}" if isinstance(key, ScalarNode) else "a list or mapping as key"
                raise _Refused(f"{shown} is no text: put it into quotes", key.start_mark)
            if key.value in known:
                raise _Refused(f"key {quoted(key.value)} is there twice", key.start_mark)
            known.add(key.value)

    def flatten_mapping(self, node: MappingNode) -> None:
        self._check_keys(node)
        super().flatten_mapping(node)

    def text(self, node: ScalarNode) -> str:
        written: str = self.construct_scalar(node)
        if _UNWRITABLE.search(written):
            raise _Refused(
                "text with a character 0 or half of a surrogate pair, which no file can hold", node.start_mark
            )
        return written

    def nothing(self, node: ScalarNode) -> None:
        written = self.construct_scalar(node)
        if written not in _NULLS:
            raise _Refused(f"{quoted(written)} is not null", node.start_mark)

    def whole(self, node: ScalarNode) -> int:
        written = self.construct_scalar(node)
        if _OTHER_NUMBER.fullmatch(written):
            raise _Refused(
                f"{quoted(written)} is a number to the base of 8 or 60: write the number, or quotes around it",
                node.start_mark,
            )
        try:
            number = int(written.replace("_", ""), 0)
        except ValueError:
            raise _Refused(f"{quoted(written)} is no whole number", node.start_mark) from None
        if not -(2**63) <= number < 2**63:
            raise _Refused(f"{quoted(written)} is too large: whole numbers have 64 bits", node.start_mark)
        return number

    def real(self, node: ScalarNode) -> float:
        written = self.construct_scalar(node)
        try:
            number = math.nan if _OTHER_NUMBER.fullmatch(written) else float(written.replace("_", ""))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise _Refused(f"{quoted(written)} is no finite number", node.start_mark)
        return number

    def boolean(self, node: ScalarNode) -> bool:
        written = self.construct_scalar(node)
        if not _BOOLEAN.fullmatch(written):
            raise _Refused(f"{quoted(written)} is neither true nor false", node.start_mark)
        return str(written).lower() == "true"


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_TAG) not in ("timestamp", "bool", "value")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(rf"^(?:{_BOOLEAN.pattern})$"), list("tTfF"))
_Loader.add_constructor(_TEXT, _Loader.text)
_Loader.add_constructor(f"{_TAG}int", _Loader.whole)
_Loader.add_constructor(f"{_TAG}float", _Loader.real)
_Loader.add_constructor(f"{_TAG}bool", _Loader.boolean)
_Loader.add_constructor(f"{_TAG}null", _Loader.nothing)


def _check_size(root: Node) -> None:
    """Raises an error where aliases make more of a small text than it should become, or lead back to themselves."""
    sizes: dict[int, int] = {}
    under_way: set[int] = set()

    def size(node: Node) -> int:
        if isinstance(node, ScalarNode):
            return 1
        if id(node) in under_way:
            raise _Refused("an alias stands for what it is part of", node.start_mark)
        if id(node) not in sizes:
            under_way.add(id(node))
            parts = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(size, parts))
            under_way.discard(id(node))
        if sizes[id(node)] > MOST_VALUES:
            raise _Refused(f"its aliases stand for more than {MOST_VALUES:,} values", node.start_mark)
        return sizes[id(node)]

    size(root)


def _problem(error: yaml.YAMLError) -> str:
    """Tells what is wrong, in one sentence."""
    if isinstance(error, yaml.reader.ReaderError):
        return (
            f"character {quoted(chr(error.character)) if isinstance(error.character, int) else '?'} can't stand in it"
        )
    problem = getattr(error, "problem", None) or "not readable"
    if "'\\t'" in problem:
        return "a tab where blanks are needed"
    if problem == "but found another document":
        return "it holds several documents, of which only one can be meant"
    return str(problem)
