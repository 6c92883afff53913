"""MovieLens: 100K as RecBole ships it, and every other release from the files or the zip of GroupLens."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, ItemTable, SeenItems
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter
from bench.data.fingerprint import with_hash
from bench.data.parsing.rows import BUILT_IN, RowRules, with_duplicates_judged
from bench.data.sources.atomic_files import read_atomic_dataset
from bench.data.sources.movielens_ratings import read_ratings
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder, find_ml_100k, ml_100k_folder
from bench.errors import BenchError, MissingDataError

SUMMARY = "MovieLens-100K: 943 users, 1,682 films, 100,000 ratings, medium histories, no repeats"
LICENCE = (
    "GroupLens usage licence: free for research with acknowledgement; no redistribution and no commercial use "
    "without permission, no endorsement implied."
)
_PAPER = (
    "F. M. Harper and J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015, "
    "doi:10.1145/2827872"
)
SOURCE = f"{_PAPER}; as shipped with RecBole 1.2.1 (dataset_example/ml-100k)."
GROUPLENS_SOURCE = f"{_PAPER}; files of https://grouplens.org/datasets/movielens/."
RELEASES = {
    "ml-1m": "MovieLens-1M: 6,040 users, 3,706 films, 1,000,209 ratings, medium histories, no repeats",
    "ml-20m": "MovieLens-20M: 138,493 users, 26,744 films, 20,000,263 ratings, medium histories, no repeats",
    "ml-latest-small": "MovieLens latest, small: about 610 users and 100,000 ratings; changes over time",
    "ml-latest": "MovieLens latest, full: about 330,000 users and 34 million ratings; changes over time",
}
"""Name of each built-in release -> summary. Every other one can be given as a path."""

_SEEN_ITEMS: SeenItems = "exclude"
_BASKETS = False
"""Many ratings of a user share a second, since the site let people rate a page of films at once. These are no baskets:
nothing was chosen together, and the order within a second is that of the file."""
_NO_GENRE = ("", "unknown", "(no genres listed)")
_ML_100K_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""The order of the last 19 fields of `u.item`."""


def load_ml_100k() -> Dataset:
    """Loads the data set; every rating is an event, whatever its value, as is usual for sequential recommendation.

    An item's category is its first-listed genre, numbered in the order of the sorted names.
    """
    raw = read_atomic_dataset(ml_100k_folder(), "ml-100k")
    year = raw.items["release_year"]
    columns = pd.DataFrame(
        {
            "title": raw.items["movie_title"],
            "genres": raw.items["class"].replace("unknown", ""),
            "year": year.where(year.str.fullmatch(r"\d{4}"), ""),  # two films have "V" and "unkonwn"
        }
    )
    item_table = ItemTable(
        columns=columns, text_columns=("title", "genres", "year"), category=_first_genre(columns["genres"])
    )
    return with_hash(
        Dataset(
            name="ml-100k",
            interactions=raw.interactions,
            item_table=item_table,
            item_ids=raw.item_ids,
            user_ids=raw.user_ids,
            seen_items=_SEEN_ITEMS,
            baskets=_BASKETS,
            licence=LICENCE,
            source=SOURCE,
            content_hash="",
        )
    )


def load_release(name: str) -> Dataset:
    """Reads one of `RELEASES`, from the user's data folder: its files in `NAME/`, or its zip there or beside it.

    Raises:
        MissingDataError: There is neither.
    """
    return read_movielens(files_of(name), name, rules=BUILT_IN)


def files_of(name: str) -> Path:
    """The folder or the zip of one of `RELEASES`.

    Raises:
        MissingDataError: There is neither.
    """
    folder = data_folder() / name
    for path in (folder, folder / f"{name}.zip", folder.with_name(f"{name}.zip")):
        if is_movielens(path):
            return path
    raise MissingDataError(
        f"{name} is not on this machine: fetch https://files.grouplens.org/datasets/movielens/{name}.zip (terms: "
        f"https://grouplens.org/datasets/movielens/) and put it, zipped or not, into {folder} (the data folder is "
        f"${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench)"
    )


def is_movielens(path: Path) -> bool:
    """Tells whether a folder or a zip holds the ratings of a release, or a file is called like these."""
    try:
        return _layout(_Files(path)) is not None
    except (OSError, zipfile.BadZipFile):
        return False


def is_ratings_file(path: Path) -> bool:
    """Tells whether a file is called as ratings of a release are that have no names of columns."""
    return path.is_file() and path.name in _FILES_BY_PATH


def read_movielens(path: Path, name: str, filters: tuple[Filter, ...] = (), rules: RowRules | None = None) -> Dataset:
    """Reads a release of any size; every rating is an event, whatever its value.

    Films are numbered in the order of the films' file, users in that of the ratings' file. A title is divided into
    `title` and `year`. An item's category is its first-listed genre, numbered in the order of the sorted names. Without
    a films' file there is no text, which a note says.

    Args:
        path: A folder or a zip with `u.data` and `u.item` (100K), `ratings.dat` and `movies.dat` (1M, 10M), or
            `ratings.csv` and `movies.csv` (20M and later), or the path of `u.data` or `ratings.dat`. A zip is read
            where it lies, without unpacking it to disk.
        name: For the data set.
        filters: What to leave out.
        rules: What becomes of ratings that can't be used, and of duplicates. None: `RowRules()`.

    Raises:
        BenchError: A file is missing or malformed.
    """
    rules = rules or RowRules()
    files = _Files(path)
    layout = _layout(files)
    if layout is None:
        raise BenchError(f"{path} holds no MovieLens release: there are no ratings.csv, ratings.dat or u.data in it")
    where = files.where(layout.ratings_file)
    ratings = read_ratings(files.read(layout.ratings_file), where, layout.delimiter, layout.header, rules)
    users, user_ids = pd.factorize(ratings.users)
    items, item_ids = pd.factorize(ratings.items)
    notes: tuple[str, ...] = ("every rating is an event, whatever its value", *ratings.notes)
    films = None
    if layout.films_file in files:
        films = layout.films(files.text(layout.films_file), files.where(layout.films_file))
    else:
        notes = (*notes, f"{layout.films_file} does not lie beside {layout.ratings_file}: items have no text")
    log = EventLog(users, items, ratings.times, user_ids.astype(np.str_), item_ids.astype(np.str_), notes=notes)
    log = with_duplicates_judged(log, where, rules)
    return assemble(name, log, films, LICENCE, GROUPLENS_SOURCE, _SEEN_ITEMS, _BASKETS, filters)


@dataclass(frozen=True)
class _Layout:
    """How a generation of releases names and writes its files."""

    ratings_file: str
    films_file: str
    delimiter: bytes
    header: bool
    films: Callable[[str, str], ItemFacts]


class _Files:
    """The files of a folder or of a zip, by name, wherever in the zip they lie."""

    def __init__(self, path: Path) -> None:
        self.chosen = path.name if is_ratings_file(path) else None
        self.path = path if self.chosen is None else path.parent
        self._members: dict[str, str] = {}
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                self._members = {PurePosixPath(member).name: member for member in archive.namelist()}

    def __contains__(self, name: str) -> bool:
        return name in self._members or (self.path.is_dir() and (self.path / name).is_file())

    def where(self, name: str) -> str:
        """For error messages."""
        return str(self.path / self._members.get(name, name))

    def read(self, name: str) -> bytes:
        try:
            if not self._members:
                return (self.path / name).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self._members[name])
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise BenchError(f"{self.where(name)} can't be read ({error}); fetch the release anew") from None

    def text(self, name: str) -> str:
        """UTF-8 in the newer releases, Latin-1 in 100K and 1M, whose titles with accents are no valid UTF-8."""
        content = self.read(name)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")


def _films_of_csv(text: str, where: str) -> ItemFacts:
    try:
        films = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        return _facts(films["movieId"], films["title"], films["genres"].str.replace("|", " "), where)
    except (KeyError, ValueError) as error:
        raise BenchError(f"{where} is no table of movieId, title and genres ({error})") from None


def _films_of_dat(text: str, where: str) -> ItemFacts:
    rows = [line.split("::") for line in _lines(text)]
    _check_widths(rows, 3, where)
    films = pd.DataFrame(rows, columns=["id", "title", "genres"])
    return _facts(films["id"], films["title"], films["genres"].str.replace("|", " "), where)


def _films_of_100k(text: str, where: str) -> ItemFacts:
    rows = [line.split("|") for line in _lines(text)]
    _check_widths(rows, 5 + len(_ML_100K_GENRES), where)
    genres = [
        " ".join(genre for genre, flag in zip(_ML_100K_GENRES, row[5:], strict=True) if flag == "1") for row in rows
    ]
    return _facts(pd.Series([row[0] for row in rows]), pd.Series([row[1] for row in rows]), pd.Series(genres), where)


def _lines(text: str) -> list[str]:
    """Lines that aren't empty; a line ends with a line feed only, since a title may hold what Unicode takes for one."""
    return [stripped for line in text.split("\n") if (stripped := line.rstrip("\r"))]


def _check_widths(rows: list[list[str]], width: int, where: str) -> None:
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != width), None)
    if wrong is not None:
        raise BenchError(f"{where}, film {wrong}: {len(rows[wrong - 1])} fields instead of {width}; fetch it anew")


def _facts(ids: pd.Series, titles: pd.Series, genres: pd.Series, where: str) -> ItemFacts:
    """Title and year from "Toy Story (1995)", genres with blanks between them, and the first of them as category."""
    if ids.duplicated().any():
        raise BenchError(f"{where}: film {ids[ids.duplicated()].iloc[0]} is there twice; fetch the release anew")
    year = titles.str.extract(r"\((\d{4})\)\s*(?:\(V\)\s*)?$")[0].fillna("")
    title = titles.str.replace(r"\s*\(\d{4}\)\s*(?:\(V\)\s*)?$", "", regex=True).str.strip()
    genres = genres.where(~genres.isin(_NO_GENRE), "")
    columns = pd.DataFrame({"title": title, "genres": genres, "year": year})
    first = genres.str.split().str[0].fillna("")
    return ItemFacts(ids.to_numpy(dtype=np.str_), columns, ("title", "genres", "year"), first)


_LAYOUTS = (
    _Layout("ratings.csv", "movies.csv", b",", True, _films_of_csv),
    _Layout("ratings.dat", "movies.dat", b"::", False, _films_of_dat),
    _Layout("u.data", "u.item", b"\t", False, _films_of_100k),
)

_FILES_BY_PATH = ("u.data", "ratings.dat")
"""Ratings that may be given by their own path; `ratings.csv` is a table like any other."""


def _layout(files: _Files) -> _Layout | None:
    """The generation of a release; one with both of its files goes before one whose films are missing."""
    present = [
        layout for layout in _LAYOUTS if layout.ratings_file in files and files.chosen in (None, layout.ratings_file)
    ]
    return next((layout for layout in present if layout.films_file in files), next(iter(present), None))


def _first_genre(genres: pd.Series) -> NDArray[np.int32]:
    """int32 `[n_items]`, -1 where an item has no genre."""
    first = genres.str.split().str[0]
    codes, _ = pd.factorize(first, sort=True)
    return codes.astype(np.int32)


DATASETS = {
    "ml-100k": CatalogEntry(SUMMARY, LICENCE, SOURCE, load_ml_100k, find_ml_100k),
    **{
        name: CatalogEntry(summary, LICENCE, GROUPLENS_SOURCE, partial(load_release, name), partial(files_of, name))
        for name, summary in RELEASES.items()
    },
}
