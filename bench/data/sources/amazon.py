"""Amazon reviews as J. McAuley's group publishes them: 2014, 2018 and 2023, with the text of their metadata."""

from __future__ import annotations

import ast
import html
import json
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import ItemFacts, assemble
from bench.data.filters import Filter, MinimumEvents
from bench.data.parsing.rows import BUILT_IN, RowCheck, RowRules, with_duplicates_judged
from bench.data.sources.json_events import EventKeys, json_lines, keys_at_the_beginning, read_json_log
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError

LICENCE = "Published for research without a licence of its own: acknowledge the source, don't redistribute."
_SOURCES = {
    2014: "R. He and J. McAuley: Ups and Downs. WWW 2016; https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html.",
    2018: "J. Ni, J. Li and J. McAuley: Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained "
    "Aspects. EMNLP 2019; https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/.",
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
_OLD_KEYS, _NEW_KEYS = (
    EventKeys("reviewerID", "asin", "unixReviewTime", "review"),  # 2014 and 2018
    EventKeys("user_id", "parent_asin", "timestamp", "review"),  # 2023
)
_ONLY_2014, _ONLY_2018 = {"helpful"}, {"verified", "vote", "style", "image"}
"""Keys of reviews that the other release with the same event keys doesn't have."""
_META_SUFFIXES = (".json.gz", ".json", ".jsonl.gz", ".jsonl")


def load_release(name: str) -> Dataset:
    """Reads one of `RELEASES`, from the user's data folder.

    Raises:
        MissingDataError: Its files are absent.
        BenchError: They are malformed.
    """
    return read_amazon(reviews_of(name), name, RELEASES[name].filters, BUILT_IN)


def reviews_of(name: str) -> Path:
    """The file of the reviews of one of `RELEASES`.

    Raises:
        MissingDataError: It is absent.
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
    return path


def event_keys(objects: list[set[str]]) -> EventKeys | None:
    """Finds the keys of a release's reviews, if these objects are some.

    Args:
        objects: The keys of each of the first objects of a file; one of an event's keys may be missing in all of them.
    """
    present = set().union(*objects)
    for keys, telling in ((_NEW_KEYS, {"parent_asin"}), (_OLD_KEYS, {"reviewerID", "unixReviewTime"})):
        if telling & present and len(present & set(keys.needed)) > 1:
            return keys
    return None


def metadata_file(reviews: Path) -> Path:
    """Finds the file of the items' text: `meta_CATEGORY` beside the reviews, zipped as they are if both forms exist."""
    category, suffix = _category(reviews) or ("", "")
    names = [f"meta_{category}{ending}" for ending in (suffix, *_META_SUFFIXES)]
    return next((path for name in names if (path := reviews.with_name(name)).is_file()), reviews.with_name(names[0]))


def read_amazon(reviews: Path, name: str, filters: tuple[Filter, ...] = (), rules: RowRules | None = None) -> Dataset:
    """Reads the reviews of one category, and its metadata where it lies beside them.

    Every review is an event, whatever its stars. The files of 2014 and 2018 know the day only; those of 2014 list
    reviews by item, so that within a user's day the order, which is that of the file, is that of the items' ids. In
    2023 items are identified by `parent_asin`. An item's text is title, brand (2023: store), categories and price, as
    in TIGER; its category is the second of its categories (the first is the same for all), or the only one.

    Args:
        reviews: `reviews_CATEGORY_5.json.gz` (2014), `CATEGORY_5.json.gz` (2018) or `CATEGORY.jsonl.gz` (2023), zipped
            or not. Which release it is its keys tell, not its name.
        name: For the data set.
        filters: What to leave out.
        rules: What becomes of lines that can't be used, and of duplicates. None: `RowRules()`.

    Raises:
        BenchError: A file is malformed; the message names the line.
    """
    rules = rules or RowRules()
    objects = keys_at_the_beginning(reviews)
    keys = event_keys(objects) or _keys_by_name(reviews)
    year, release = _release(keys, objects)
    note = f"{keys.in_words(objects)}; these keys are those of Amazon's {release}"
    log = with_duplicates_judged(read_json_log(reviews, keys, rules), reviews, rules)
    notes = (note, *log.notes)
    metadata = metadata_file(reviews)
    facts = None
    if metadata.is_file():
        check = RowCheck(metadata, rules)
        facts = read_metadata(metadata, year, set(log.item_ids.tolist()), check)
        notes = (*notes, *(f"{metadata.name}: {note}" for note in check.notes(check.left_out + len(facts.ids))))
    else:
        notes = (*notes, f"{metadata.name} does not lie beside {reviews.name}: items have no text")
    return assemble(name, replace(log, notes=notes), facts, LICENCE, _SOURCES[year], _SEEN_ITEMS, filters=filters)


def read_metadata(path: Path, year: int, wanted: set[str], check: RowCheck | None = None) -> ItemFacts:
    """Reads title, brand, categories and price of the wanted items, in file order; of an item's lines the first counts.

    A line of 2014 is a Python literal, and is read as such and never executed; those of later years are JSON. Either
    may stand in a file that is called as of another year.

    Args:
        path: The file.
        year: Of the reviews, which says by which key items are known.
        wanted: Ids of items.
        check: Learns of malformed lines. None: such a line is an error.

    Raises:
        BenchError: A line of a wanted item is malformed, or no line is of a wanted item.
    """
    check = check or RowCheck(path, RowRules())
    rows: dict[str, list[str]] = {}
    categories = []
    key = "parent_asin" if year == 2023 else "asin"
    for number, content in json_lines(path):
        try:
            line = content.decode("utf-8")
            # The catalogue of a category is many times larger than its 5-core, and parsing is slow.
            if year != 2023 and (asins := _ASIN.findall(line)) and wanted.isdisjoint(asins):
                continue
            product = _parsed(line, year)
        except UnicodeDecodeError:
            check.refuse(number, "it is not UTF-8")
            continue
        except ValueError as error:
            check.refuse(number, str(error))
            continue
        item = product.get(key)
        if isinstance(item, str) and item in wanted and item not in rows:
            path_of_categories = _category_path(product)
            brand = product.get("store") if year == 2023 else product.get("brand")
            words = (product.get("title"), brand, " ".join(path_of_categories), product.get("price"))
            rows[item] = [html.unescape(str(word)) if word is not None else "" for word in words]
            categories.append(path_of_categories[min(1, len(path_of_categories) - 1)] if path_of_categories else "")
    if not rows:
        raise BenchError(f"{path} describes none of the reviewed items; is it the metadata of another category?")
    columns = pd.DataFrame(list(rows.values()), columns=list(_TEXT_COLUMNS))
    return ItemFacts(np.array(list(rows), dtype=np.str_), columns, _TEXT_COLUMNS, pd.Series(categories))


def _category(path: Path) -> tuple[str, str] | None:
    """The category of a reviews' file, and the suffix of its metadata."""
    named = re.fullmatch(r"(?!meta_)(?:reviews_)?(.+?)(?:_5)?(\.jsonl?(?:\.gz)?)", path.name)
    return (named[1], named[2]) if named else None


def _keys_by_name(path: Path) -> EventKeys:
    """For a file whose first lines hold no review."""
    return _NEW_KEYS if ".jsonl" in path.name else _OLD_KEYS


def _release(keys: EventKeys, objects: list[set[str]]) -> tuple[int, str]:
    """The release by its keys, and in words."""
    if keys == _NEW_KEYS:
        return 2023, "release of 2023"
    present = set().union(*objects)
    if present & _ONLY_2018:
        return 2018, "release of 2018"
    if present & _ONLY_2014:
        return 2014, "release of 2014"
    return 2014, "releases of 2014 and 2018"


def _parsed(line: str, year: int) -> dict[str, Any]:
    """The product of a line.

    Raises:
        ValueError: There is none.
    """
    for parse in (json.loads, ast.literal_eval):
        try:
            product = parse(line.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(product, dict):
            return product
    kind = "Python literal" if year == 2014 else "JSON object"
    raise ValueError(f"no {kind} with the properties of a product; fetch the file anew")


def _category_path(product: dict[str, Any]) -> list[str]:
    """From the general to the special: the first path of 2014's list of paths, the one path of 2018 and 2023."""
    categories = product.get("categories") or product.get("category") or []
    if isinstance(categories, list) and categories and isinstance(categories[0], list):
        categories = categories[0]
    return (
        [html.unescape(str(name)) for name in categories]
        if isinstance(categories, list)
        else [html.unescape(str(categories))]
    )


DATASETS = {
    name: CatalogEntry(release.summary, LICENCE, release.source, partial(load_release, name), partial(reviews_of, name))
    for name, release in RELEASES.items()
}
