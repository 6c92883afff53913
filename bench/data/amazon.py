"""Amazon reviews as J. McAuley's group publishes them: 2014 (5-core) and 2023, with the text of their metadata."""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.data.dataset import Dataset, SeenItems
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter, MinimumEvents
from bench.data.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError

LICENCE = "Published for research without a licence of its own: acknowledge the source, don't redistribute."
_SOURCES = {
    2014: "R. He and J. McAuley: Ups and Downs. WWW 2016; https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html.",
    2023: "Y. Hou et al.: Bridging Language and Items for Retrieval and Recommendation. arXiv 2403.03952, 2024; "
    "https://amazon-reviews-2023.github.io.",
}
_ADDRESSES = {
    2014: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/",
    2023: "https://amazon-reviews-2023.github.io",
}


@dataclass(frozen=True)
class Release:
    """One category of one year, as a built-in data set.

    Attributes:
        year: 2014 or 2023; the files are looked for in `amazon-YEAR/` of the user's data folder.
        reviews: The reviews' file.
        filters: The 5-core where the file isn't one.
        summary: One line.
    """

    year: int
    reviews: str
    filters: tuple[Filter, ...]
    summary: str

    @property
    def source(self) -> str:
        return _SOURCES[self.year]


_CORE = (MinimumEvents(per_user=5, per_item=5),)
RELEASES = {
    "amazon-beauty": Release(
        2014, "reviews_Beauty_5.json.gz", (), "Amazon Beauty 2014, 5-core: 22,363 users, 12,101 items, 198,502 reviews"
    ),
    "amazon-sports": Release(
        2014,
        "reviews_Sports_and_Outdoors_5.json.gz",
        (),
        "Amazon Sports and Outdoors 2014, 5-core: 35,598 users, 18,357 items, 296,337 reviews",
    ),
    "amazon-toys": Release(
        2014,
        "reviews_Toys_and_Games_5.json.gz",
        (),
        "Amazon Toys and Games 2014, 5-core: 19,412 users, 11,924 items, 167,597 reviews",
    ),
    "amazon-2023-all-beauty": Release(2023, "All_Beauty.jsonl.gz", _CORE, "Amazon All Beauty 2023, our 5-core"),
    "amazon-2023-video-games": Release(2023, "Video_Games.jsonl.gz", _CORE, "Amazon Video Games 2023, our 5-core"),
}
"""The built-in categories. Any other one can be given as the path of its reviews' file."""

_SEEN_ITEMS: SeenItems = "exclude"
_TEXT_COLUMNS = ("title", "brand", "categories", "price")
_ASIN = re.compile(r"""['"]asin['"]\s*:\s*['"]([^'"]+)['"]""")
_REVIEW_KEYS = {2014: ("reviewerID", "asin", "unixReviewTime"), 2023: ("user_id", "parent_asin", "timestamp")}
_MILLISECONDS = 1000


def load_release(name: str) -> Dataset:
    """One of `RELEASES`, from the user's data folder.

    Raises:
        MissingDataError: Its files are absent.
        BenchError: They are malformed.
    """
    release = RELEASES[name]
    folder = data_folder() / f"amazon-{release.year}"
    path = folder / release.reviews
    if not path.is_file():
        raise MissingDataError(
            f"{name} is not on this machine: fetch {release.reviews} and {metadata_file(path).name} from "
            f"{_ADDRESSES[release.year]} and put them into {folder} (the data folder is ${DATA_FOLDER_VARIABLE}, else "
            f"~/.cache/glass-bench)"
        )
    return read_amazon(path, name, release.filters)


def is_amazon(path: Path) -> bool:
    """Whether a file is named like the reviews of either year."""
    return _category(path) is not None


def metadata_file(reviews: Path) -> Path:
    """Where the items' text is expected: `meta_CATEGORY` beside the reviews, zipped where these are."""
    category, suffix = _category(reviews) or ("", "")
    return reviews.with_name(f"meta_{category}{suffix}")


def read_amazon(reviews: Path, name: str, filters: tuple[Filter, ...] = ()) -> Dataset:
    """Reads the reviews of one category, and its metadata where it lies beside them.

    Every review is an event, whatever its stars. The 2014 files know the day only and list reviews by item, so that
    within a user's day the order, which is that of the file, is that of the items' ids. In 2023 items are told apart by
    `parent_asin`. An item's text is title, brand (2023: store), categories and price, as in TIGER; its category is the
    second of its categories (the first is the same for all), or the only one.

    Args:
        reviews: `reviews_CATEGORY_5.json.gz` (2014) or `CATEGORY.jsonl.gz` (2023), zipped or not.
        name: For the data set.
        filters: What to leave out.

    Raises:
        BenchError: A file is malformed; the message names the line.
    """
    year = 2023 if ".jsonl" in reviews.name else 2014
    log = _read_reviews(reviews, *_REVIEW_KEYS[year], ticks=_MILLISECONDS if year == 2023 else 1)
    metadata = metadata_file(reviews)
    facts = None
    if metadata.is_file():
        facts = read_metadata(metadata, year, set(log.item_ids.tolist()))
    else:
        notes = (*log.notes, f"{metadata.name} does not lie beside {reviews.name}: items have no text")
        log = EventLog(log.users, log.items, log.times, log.user_ids, log.item_ids, log.ticks, notes)
    return assemble(name, log, facts, LICENCE, _SOURCES[year], _SEEN_ITEMS, filters=filters)


def read_metadata(path: Path, year: int, wanted: set[str]) -> ItemFacts:
    """Title, brand, categories and price of the wanted items, in file order.

    The lines of 2014 are Python literals, and are read as such and never executed; those of 2023 are JSON.

    Raises:
        BenchError: A line of a wanted item is malformed, or no line is of a wanted item.
    """
    rows: dict[str, list[str]] = {}
    categories = []
    key = "asin" if year == 2014 else "parent_asin"
    for number, line in _lines(path):
        # The catalogue of a category is many times larger than its 5-core, and parsing is slow.
        if year == 2014 and (found := _ASIN.search(line)) and found[1] not in wanted:
            continue
        product = _parsed(line, year, path, number)
        item = product.get(key)
        if item in wanted and item not in rows:
            path_of_categories = _category_path(product)
            brand = product.get("brand") if year == 2014 else product.get("store")
            words = (product.get("title"), brand, " ".join(path_of_categories), product.get("price"))
            rows[item] = [html.unescape(str(word)) if word is not None else "" for word in words]
            categories.append(path_of_categories[min(1, len(path_of_categories) - 1)] if path_of_categories else "")
    if not rows:
        raise BenchError(f"{path} describes none of the reviewed items; is it the metadata of another category?")
    columns = pd.DataFrame(list(rows.values()), columns=list(_TEXT_COLUMNS))
    return ItemFacts(np.array(list(rows), dtype=np.str_), columns, _TEXT_COLUMNS, pd.Series(categories))


def _category(path: Path) -> tuple[str, str] | None:
    """The category of a reviews' file, and the suffix of its metadata."""
    old = re.fullmatch(r"reviews_(.+?)(?:_5)?(\.json(?:\.gz)?)", path.name)
    new = re.fullmatch(r"(?!meta_)(.+?)(\.jsonl(?:\.gz)?)", path.name)
    found = old or new
    return (found[1], found[2]) if found else None


def _read_reviews(path: Path, user_key: str, item_key: str, time_key: str, ticks: int) -> EventLog:
    user_codes: dict[str, int] = {}
    item_codes: dict[str, int] = {}
    users, items, times = array("i"), array("i"), array("q")  # many times smaller than lists of numbers
    for number, line in _lines(path):
        try:
            review = json.loads(line)
            user, item, time = review[user_key], review[item_key], int(review[time_key])
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(
                f"{path}, line {number}: no review with {user_key}, {item_key} and {time_key} "
                f"({type(error).__name__}: {error})"
            ) from None
        if time < 0:
            raise BenchError(f"{path}, line {number}: {time_key} is negative; a time since 1970 is expected")
        users.append(user_codes.setdefault(str(user), len(user_codes)))
        items.append(item_codes.setdefault(str(item), len(item_codes)))
        times.append(time)
    if not users:
        raise BenchError(f"{path} is empty; fetch it anew")
    return EventLog(
        users=np.array(users, dtype=np.int32),
        items=np.array(items, dtype=np.int32),
        times=np.array(times, dtype=np.int64),
        user_ids=np.array(list(user_codes), dtype=np.str_),
        item_ids=np.array(list(item_codes), dtype=np.str_),
        ticks=ticks,
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that aren't blank, with their numbers."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.decode("utf-8")
    except UnicodeDecodeError:
        raise BenchError(f"{path}, line {number} is not UTF-8; fetch the file anew") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(f"{path}: unreadable after line {number} ({error}); fetch the file anew") from None


def _parsed(line: str, year: int, path: Path, number: int) -> dict[str, Any]:
    try:
        product = ast.literal_eval(line.strip()) if year == 2014 else json.loads(line)
        if isinstance(product, dict):
            return product
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    kind = "Python literal" if year == 2014 else "JSON object"
    raise BenchError(f"{path}, line {number}: no {kind} with the properties of a product; fetch the file anew")


def _category_path(product: dict[str, Any]) -> list[str]:
    """From the general to the special: the first path of 2014's list of paths, the one path of 2023."""
    found = product.get("categories") or []
    if found and isinstance(found[0], list):
        found = found[0]
    return [html.unescape(str(name)) for name in found]
