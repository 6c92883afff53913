"""Where the example data in RecBole's wheel lie on this machine. RecBole itself is never imported."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from bench.errors import BenchError, MissingDataError, message_of

DATA_FOLDER_VARIABLE = "GLASS_BENCH_DATA"
_WHEEL = "recbole==1.2.1"
_DOWNLOAD_SECONDS = 300

_log = logging.getLogger(__name__)


def data_folder() -> Path:
    """Finds the user's folder of data sets: `$GLASS_BENCH_DATA`, or `~/.cache/glass-bench`."""
    chosen = os.environ.get(DATA_FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "glass-bench"


def find_ml_100k() -> None:
    """Sees whether the files of ml-100k are on this machine, and downloads nothing.

    Raises:
        MissingDataError: They are not.
    """
    installed = _installed_examples()
    folders = (data_folder() / "ml-100k", *([] if installed is None else [installed / "ml-100k"]))
    if not any((folder / "ml-100k.inter").is_file() for folder in folders):
        raise MissingDataError(f"ml-100k is not on this machine yet: its first use fetches {_WHEEL} into {folders[0]}")


def ml_100k_folder() -> Path:
    """Finds a folder with `ml-100k.inter` and `ml-100k.item`.

    The first of: `ml-100k` in the user's data folder; the installed RecBole; RecBole's wheel, downloaded once into the
    user's data folder (on Python 3.12 and newer RecBole can't be installed, but its wheel can be opened).

    Raises:
        BenchError: None of them worked.
    """
    own = data_folder() / "ml-100k"
    if (own / "ml-100k.inter").is_file():
        return own
    installed = _installed_examples()
    if installed is not None and (installed / "ml-100k" / "ml-100k.inter").is_file():
        return installed / "ml-100k"
    try:
        own.mkdir(parents=True, exist_ok=True)
        with FileLock(own / ".download.lock"):
            if not (own / "ml-100k.inter").is_file():
                _log.warning("ml-100k: RecBole is not installed; fetching %s for its example data into %s", _WHEEL, own)
                _download_ml_100k(own)
    except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError) as error:
        raise BenchError(
            f"ml-100k is not on this machine and {_WHEEL} could not be fetched ({_reason(error)}); run "
            f"`pip install --no-deps {_WHEEL}`, or set {DATA_FOLDER_VARIABLE} to a folder with ml-100k/ml-100k.inter"
        ) from error
    return own


def _installed_examples() -> Path | None:
    spec = importlib.util.find_spec("recbole")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "dataset_example"


def _download_ml_100k(target: Path) -> None:
    """Puts the two files of the wheel into `target`; the events last, since their presence means that all is there."""
    with tempfile.TemporaryDirectory(dir=target) as folder:
        # RecBole's wheel is pure Python; naming an older Python only satisfies pip.
        options = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "--dest", folder]
        subprocess.run(
            [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", *options, _WHEEL],
            check=True,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in ("ml-100k.item", "ml-100k.inter"):
                unpacked = Path(folder) / name
                unpacked.write_bytes(archive.read(f"recbole/dataset_example/ml-100k/{name}"))
                unpacked.replace(target / name)


def _reason(error: Exception) -> str:
    """The last line of pip's complaint, or of the error itself."""
    complaint = str(getattr(error, "stderr", None) or "").strip()
    return complaint.splitlines()[-1] if complaint else message_of(error)
