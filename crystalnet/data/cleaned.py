"""The crystals of a source after cleaning: which set each one is in, and a report of what was left out."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crystalnet.data.cleaning import drop_duplicates
from crystalnet.data.crystals import Crystal
from crystalnet.data.splits import LEFT_OUT, SPLITS, split
from crystalnet.errors import Code, CrystalNetError, writing

DUPLICATE = "duplicate"


class Report(NamedTuple):
    """What happened to the rows of a source, counted by reason.

    `left_out` and `put_right`: rows that could not be used, and used ones that had a fault. `missing`: id,
    formula and list (train_stable, ...) of the crystals of a published split that the source lacks;
    `unlisted`: crystals of the source that no list names.
    """

    left_out: dict[str, int]
    put_right: dict[str, int]
    missing: list[tuple[str, str, str]] = []  # noqa: RUF012
    unlisted: int = 0


class Cleaned(NamedTuple):
    """All usable crystals of a source in its order, and where each went.

    `splits` has 'train', 'val' and 'test'; `held_back` are in none of them, because they are too near to
    validation or test for the split that was asked for.

    >>> import tempfile
    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> cleaned = clean(prototype_crystals("cubic", 20), how="random")
    >>> {name: len(crystals) for name, crystals in cleaned.splits.items()}
    {'train': 16, 'val': 2, 'test': 2}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cleaned.write(Path(folder) / "cleaned.jsonl.gz")
    ...     len(Cleaned.read(Path(folder) / "cleaned.jsonl.gz").crystals)
    20
    """

    crystals: list[Crystal]
    duplicates: list[Crystal]
    splits: dict[str, list[Crystal]]
    held_back: list[Crystal]
    report: Report

    def write(self, path: Path) -> None:
        """To gzipped JSON lines, the report first; whole or not at all, and the same bytes each time."""
        members = {DUPLICATE: self.duplicates, LEFT_OUT: self.held_back, **self.splits}
        place = {crystal.material_id: name for name, crystals in members.items() for crystal in crystals}
        part = path.with_name(path.name + ".part")
        with (
            writing(path),
            part.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file,
        ):
            file.write(json.dumps(self.report._asdict()).encode() + b"\n")
            for crystal in self.crystals:
                facts = {"set": place[crystal.material_id], **crystal.as_dict()}
                file.write(json.dumps(facts).encode() + b"\n")
        with writing(path):
            os.replace(part, path)

    @classmethod
    def read(cls, path: Path) -> Cleaned:
        """What `write` wrote.

        Raises:
            CrystalNetError: the file is damaged.
        """
        sets: dict[str, list[Crystal]] = {name: [] for name in (*SPLITS, DUPLICATE, LEFT_OUT)}
        crystals = []
        try:
            with gzip.open(path, "rt") as file:
                report = Report(**json.loads(next(file)))
                for line in file:
                    facts = json.loads(line)
                    members = sets[facts.pop("set")]
                    crystals.append(Crystal.from_dict(facts))
                    members.append(crystals[-1])
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, StopIteration) as error:
            raise CrystalNetError(
                f"{path} is damaged ({error}). Delete its folder and run again.", Code.DAMAGED
            ) from None
        return cls(
            crystals, sets.pop(DUPLICATE), {name: sets[name] for name in SPLITS}, sets[LEFT_OUT], report
        )


def clean(
    crystals: Sequence[Crystal],
    how: str,
    seed: int = 0,
    *,
    left_out: dict[str, int] | None = None,
    missing: Sequence[tuple[str, str, str]] = (),
    unlisted: int = 0,
) -> Cleaned:
    """Drop duplicates and split (see `cleaning` and `splits`); the other arguments go into the report.

    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> len(clean(prototype_crystals("cubic", 20), how="random").splits["test"])  # a tenth
    2
    """
    kept, duplicates = drop_duplicates(crystals)
    sets, held_back = split(kept, how=how, seed=seed)
    put_right = Counter(crystal.note for crystal in crystals if crystal.note)
    report = Report(dict(left_out or {}), dict(put_right), [tuple(entry) for entry in missing], unlisted)
    return Cleaned(list(crystals), duplicates, sets, held_back, report)
