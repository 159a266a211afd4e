r"""Results on disk: each in a folder named after a hash of everything that made it, with its manifest.

A result is made once, by one process at a time, is reused while nothing that made it changed, and is never
mixed with another.

>>> import io
>>> import tempfile
>>> read_table(io.StringIO("predictor,formula\nnetwork,NaN"))["formula"].tolist()  # nitride, not missing
['NaN']
>>> with tempfile.TemporaryDirectory() as folder:
...     results = Results(Params.load("quick"), folder, progress=False)
...     place = results.place("note", "cubic", {"epochs": 3})
...     with alone(Path(folder), progress=False), results.making(place) as is_new:
...         results.finish(place, started=time.perf_counter(), asked=3)
...     place.name, is_new, results.is_finished(place), results.manifest(place)["asked"]
('note-cubic-...', True, True, 3)
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError, writing
from crystalnet.runs.params import Params, repository_root
from crystalnet.runs.provenance import environment, write_text

# columns that are names: 'NaN' is a formula, and an id may look like a number
NAMES = dict.fromkeys(("predictor", "level", "variant", "material_id", "formula"), str)


def read_table(path_or_text: str | Path | TextIO) -> pd.DataFrame:
    """A table of a run as it was written.

    Raises:
        CrystalNetError: it is missing or damaged.
    """
    try:
        return pd.read_csv(path_or_text, dtype=NAMES, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise CrystalNetError(
            f"{path_or_text} is no whole table ({error}). Delete its folder and run again.", Code.DAMAGED
        ) from None


@contextmanager
def alone(folder: Path, progress: bool) -> Iterator[None]:
    """Work in a folder, made if need be, while no other process does; one that does is waited for.

    The lock is the operating system's: a process that ends, however it does, leaves none behind.

    Args:
        progress: say so where it waits.
    """
    lock = FileLock(folder / "lock")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    try:
        lock.acquire(blocking=False)
    except Timeout:
        words = f"Waiting for another process, which works in {folder.name}"
        with tqdm(desc=words, bar_format="{desc}", disable=not progress):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Results:
    """The results of one set of parameters.

    Args:
        params: settings, see `Params.load`.
        folder: where results are kept, by default _build/runs of the repository.
        progress: show progress bars.
    """

    def __init__(self, params: Params, folder: str | Path | None = None, progress: bool = True):
        self.params = params
        self.folder = Path(folder) if folder else repository_root() / "_build" / "runs"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrystalNetError(
                f"{self.folder} cannot hold results ({error}). Choose another folder.",
                Code.NOT_WRITTEN,
            ) from None
        self.progress = progress

    def place(self, kind: str, system: str, key: dict) -> Path:
        """Folder of the result that `key` makes."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        return self.folder / f"{kind}-{system}-{digest[:12]}"

    @contextmanager
    def making(self, place: Path, anew: bool = False) -> Iterator[bool]:
        """Whether the result of a folder has yet to be made; another process that asks waits until it is.

        Meanwhile ask for results that it is made of, for none that is made of it: nobody waits in a ring.

        Args:
            place: the folder, which is there afterwards.
            anew: make it even if it is finished.
        """
        if self.is_finished(place) and not anew:
            yield False
            return
        with alone(place, self.progress):
            yield anew or not self.is_finished(place)

    def finish(self, place: Path, started: float, **facts: Any) -> None:
        """Write what made a result; its presence says that the result is whole.

        Args:
            place: its folder.
            started: `time.perf_counter()` when the work began.
            facts: what to state beside environment, seconds and parameters.
        """
        manifest = {
            **facts,
            "environment": environment(),
            "wall_seconds": round(time.perf_counter() - started, 2),
            "params": self.params.model_dump(),
        }
        write_text(place / "manifest.json", json.dumps(manifest, indent=1, default=str))

    @staticmethod
    def is_finished(place: Path) -> bool:
        return (place / "manifest.json").exists()

    @staticmethod
    def manifest(place: Path) -> dict:
        path = place / "manifest.json"
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise CrystalNetError(
                f"{path} is damaged ({error}). Delete its folder and run again.", Code.DAMAGED
            ) from None
