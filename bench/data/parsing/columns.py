"""By its name, what a column of a table of events is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.errors import BenchError

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "useridx", "customer", "customerid", "visitorid", "session", "sessionid"),
    "item": ("item", "itemid", "iid", "itemidx", "product", "productid", "movieid", "videoid", "trackid", "asin"),
    "time": ("time", "timestamp", "datetime", "date", "unixtime", "ts"),
    "rating": ("rating", "ratings", "stars", "score", "overall"),
}
"""Names by which a column is recognised where none is given, in small letters, without blanks and punctuation."""

_IDS = r"(id|ids|idx|index|no|num|number|nr|key|code|hash|uuid)?"
_LOOKS: Mapping[str, str] = {
    "user": r"(user|u|session|customer|cust|visitor|client|member|reader|account|household|person|buyer|reviewer)"
    + _IDS,
    "item": r"(item|i|product|prod|movie|film|video|track|song|music|artist|book|article|news|business|sku|asin|poi|"
    r"venue|course|game|app|goods|merchant|store|brand)" + _IDS,
    "time": r".*(time|date|timestamp|datum)(s|ms|utc|frame|local)?|ts|.*(created|updated|clicked|viewed|visited)at",
    "rating": r".*(rating|ratings|stars?|score|ratio|grade|vote)|overall|rate",
}
_KINDS = (
    r"((user)?(event|behaviou?r|action|activity|interaction|feedback)(type|name|kind|category)?|type|label|op|operation|"
    r"reaction|(is)?(click|like|purchase|buy|order|cart|follow|share|comment|forward|hate|view|favou?rite)(e?d|ed)?|"
    r"bought|(add)?tocart)"
)

_KIND_WORDS = frozenset(
    (
        *("pv", "buy", "cart", "fav", "click", "clicks", "view", "views", "purchase", "purchased", "addtocart", "like"),
        *("dislike", "skip", "impression", "order", "transaction", "remove", "removefromcart", "wishlist", "favourite"),
        *("favorite", "bookmark", "comment", "forward"),
    )
)

_IN_WORDS = {"then": "order of ties"}


def plain(name: str) -> str:
    """Returns a column's name in small letters, without blanks and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())


def usual(role: str, names: Sequence[str]) -> list[str]:
    """Lists the columns that have a usual name for a role, the most usual one first."""
    known = USUAL_NAMES[role]
    return sorted((name for name in names if plain(name) in known), key=lambda name: known.index(plain(name)))


def is_plainly(role: str, name: str) -> bool:
    """Tells whether a usual name goes before all others."""
    return plain(name) in (role, f"{role}id")


def look_alikes(role: str, names: Sequence[str]) -> list[str]:
    """Lists the columns whose names might as well be those of a role."""
    return [name for name in names if plain(name) in USUAL_NAMES[role] or re.fullmatch(_LOOKS[role], plain(name))]


def refuse_two_roles(where: object, what: str, roles: Mapping[str, str | None]) -> None:
    """Refuses one column for two roles.

    Args:
        where: The file.
        what: What a column is called in its format.
        roles: Column by the option that names it, without its dashes. None: there is none.

    Raises:
        BenchError: It has two.
    """
    first: dict[str, str] = {}
    for role, name in roles.items():
        if name is not None and (other := first.setdefault(name, role)) != role:
            both = " and ".join(f"the {_IN_WORDS.get(one, one)}" for one in (other, role))
            raise BenchError(f"{where}: {what} '{name}' can't be both {both}; name them with --{other} and --{role}")


def tells_kinds(name: str) -> bool:
    """Tells whether a column's name says that it separates kinds: views from purchases, likes from dislikes."""
    return re.fullmatch(_KINDS, plain(name)) is not None


def tells_ratings(name: str) -> bool:
    """Tells whether a column's name says that it holds how much a user liked an item."""
    return re.fullmatch(_LOOKS["rating"], plain(name)) is not None


def tells_kinds_by(values: Iterable[str]) -> bool:
    """Tells whether the values of a column, whatever it is called, say so."""
    return not _KIND_WORDS.isdisjoint(plain(value) for value in values)


def likely_time(row: Sequence[str]) -> int:
    """Tells where in a row of data the time probably stands: a date, else the longest number of ten digits or more."""
    dates = [index for index, cell in enumerate(row) if re.match(r"\s*[0-9]{4}[-/][0-9]{2}[-/]", cell)]
    numbers = [index for index, cell in enumerate(row) if re.fullmatch(r"\s*[0-9]{10,}(\.[0-9]*)?\s*", cell)]
    return dates[0] if dates else max(numbers, key=lambda index: len(row[index])) if numbers else len(row) - 1


def is_value(text: str) -> bool:
    """Tells whether a text is a number or a date, as cells are and names of columns hardly ever."""
    return (
        re.fullmatch(r"\s*([+-]?[0-9]+([.,][0-9]*)?([eE][+-]?[0-9]+)?|[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}.*)\s*", text)
        is not None
    )
