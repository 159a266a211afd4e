"""Records: results of long runs, kept small in the repository, so that the book shows what it did not make.

book/results/<profile>/<system>/
  history.csv       training, a row an epoch
  scores.csv        Table 1, a row a predictor and test crystal
  validation.csv    the network on validation crystals, to calibrate with
  scores_dft.csv    the same against DFT densities, where the profile names some
  levels.csv        Table 2, a row a level of known composition and test crystal
  variants.csv      deviations, a row a variant and test crystal
  retrieval.csv     the nearest neighbour where a variant splits the data in another way
  spoilt.csv        the network where test patterns are as a challenge has them
  begun.csv         the same of the network that training began with
  gallery.npz       some test crystals with the network's answers
  explorer.npz      the crystals of the explorer in the pages, where there is one (see `showcase`)
  manifest.json     what made each of these
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from textwrap import shorten

import numpy as np
import pandas as pd

from crystalnet.data.store import ALTERED
from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import repository_root
from crystalnet.runs.results import read_table
from crystalnet.runs.run import PREDICTORS

# tables of scores, with the first column of each
TABLES = {
    "scores": "predictor",
    "validation": "predictor",
    "scores_dft": "predictor",
    "levels": "level",
    "variants": "variant",
    "retrieval": "variant",
    "spoilt": "patterns",
    "begun": "patterns",
}
NUMBERS = ["row", "space_group", "paper_ssim", "paper_psnr", "honest_ssim", "honest_psnr", "honest_nmae"]
GALLERY = ("quantile", "row", "lattice", "pattern", "profile", "truth", "answer")
REMEDY = "Take the record from the repository again (git checkout) or publish it anew (make results)."


@dataclass(frozen=True, eq=False)
class Record:
    """What a profile gave for one crystal system.

    Attributes:
        manifest: what made each file; numbers of crystals 'train', 'altered', 'val', 'test';
            'density_source', 'split', 'data_hash'.
        history: see `train`.
        scores, validation, scores_dft, levels, variants, retrieval, spoilt, begun: see `Run.evaluation`,
            after a first column 'predictor', 'level', 'variant' or 'patterns'; None if there is none.
            `scores` may also hold 'neighbours', each crystal's swap neighbours in training (see `leakage`).
        gallery: test crystals at quantiles of the network's honest SSIM: quantile (k,), row (k,) of the data
            set, lattice (k, 3, 3) Å, pattern (k, 1024) and profile (k, 768) float32, truth and answer
            (k, n, n, n) float16, e/Å^3, the answer laid onto the truth as the honest protocol does it. None
            where the file is left out.
    """

    profile: str
    system: str
    manifest: dict
    history: pd.DataFrame
    scores: pd.DataFrame
    validation: pd.DataFrame | None = None
    scores_dft: pd.DataFrame | None = None
    levels: pd.DataFrame | None = None
    variants: pd.DataFrame | None = None
    retrieval: pd.DataFrame | None = None
    spoilt: pd.DataFrame | None = None
    begun: pd.DataFrame | None = None
    gallery: dict[str, np.ndarray] | None = None

    @classmethod
    def read(cls, folder: str | Path) -> Record:
        """The record in a folder.

        Raises:
            CrystalNetError: a file is missing, damaged, or not of a record; names it.
        """
        folder = Path(folder).resolve()
        with _reading(folder / "manifest.json") as path:
            manifest = json.loads(path.read_text())
            cases = {name: manifest[f"{name}.csv"] for name in TABLES if f"{name}.csv" in manifest}
            cases["scores"] = manifest["scores.csv"]
        history = _read_table(folder / "history.csv")
        tables = {name: _read_table(folder / f"{name}.csv", TABLES[name], cases[name]) for name in cases}
        if (folder / "gallery.npz").exists():
            with _reading(folder / "gallery.npz") as path, np.load(path, allow_pickle=False) as arrays:
                tables["gallery"] = {name: arrays[name] for name in GALLERY}
        record = cls(folder.parent.name, folder.name, manifest, history, **tables)
        with _reading(folder / "manifest.json"):
            record.provenance(), record.network  # they miss what a manifest lacks
        return record

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of scores that there are, by name."""
        return {name: vars(self)[name] for name in TABLES if vars(self)[name] is not None}

    @property
    def field(self) -> str:
        """The kind of its network, 'film' or 'spectral'."""
        return self.manifest["history.csv"]["model"].get("field", "film")

    @property
    def network(self) -> str:
        """The name that the library keeps its network under: 'cubic', 'cubic-spectral' or -laboratory;
        'cubic-strict' where the paper's network reads what the paper's does."""
        made_by = self.manifest["history.csv"]
        if made_by.get("training", {}).get("degraded"):
            return f"{self.system}-laboratory"
        if self.field == "spectral":
            return f"{self.system}-spectral"
        strict = made_by["model"].get("reads", "patterns") == "patterns"
        return f"{self.system}-strict" if strict else self.system

    def provenance(self) -> str:
        """One line under a table: data, split, density, training, protocol sizes, settings, code."""
        facts, training = self.manifest, self.manifest["history.csv"]
        counts = ", ".join(f"{facts[name]:,} {name}" for name in ("train", "val", "test"))
        if n_altered := facts.get(ALTERED):
            counts += f", {n_altered:,} altered copies"
        duration = timedelta(seconds=round(training["training_seconds"]))
        scored = (self.scores["predictor"] == PREDICTORS[0]).sum()
        n_samples = facts["scores.csv"][PREDICTORS[0]]["n_samples"]
        environment, source = training["environment"], Path(training["params"]["data"]["source"]).name
        return (
            f"{self.system}: {source} ({counts}; {facts['split']} split, data {facts['data_hash'][:10]}),"
            f" {facts['density_source']} density; {training['epochs']} epochs on {environment['hardware']} in"
            f" {duration} (h:min:s); {scored:,} test crystals, {n_samples} guesses each; profile"
            f" {self.profile}, commit {environment['commit'] or 'unknown'}"
        )


def records(folder: str | Path | None = None) -> list[Record]:
    """All records of a folder of profiles, by default book/results, sorted by profile and system.

    >>> record = records()[0]
    >>> record.field, record.network, list(record.tables)
    ('film', 'cubic-strict', ['scores', 'scores_dft', 'levels', 'variants'])
    >>> folder = repository_root() / "book" / "results" / record.profile / record.system
    >>> Record.read(folder).manifest == record.manifest
    True
    >>> print(record.provenance())
    cubic: paper_split.jsonl.gz (...density; ...
    """
    folder = Path(folder) if folder else repository_root() / "book" / "results"
    return [Record.read(place) for place in sorted(folder.glob("[!.]*/[!.]*/"))]  # a dot: being written


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    try:
        yield path
    except FileNotFoundError:
        raise CrystalNetError(f"There is no {path}. {REMEDY}", Code.FILE_MISSING) from None
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = f"no {error}" if isinstance(error, KeyError) else shorten(str(error), 200)
        raise CrystalNetError(
            f"{path} is damaged or not of a record ({reason}). {REMEDY}", Code.DAMAGED
        ) from None


def _read_table(path: Path, column: str = "epoch", cases=()) -> pd.DataFrame:
    """A table that holds each entry of `column` as often; they are `cases`, if there are some."""
    with _reading(path):
        text = path.read_text()
        if not text.endswith("\n"):
            raise ValueError("it ends within a line")
        table = read_table(io.StringIO(text))
        rows = table[column].value_counts()
        if rows.nunique() != 1 or (cases and set(rows.index) != set(cases)):
            raise ValueError("rows are missing")
        if table[NUMBERS if cases else ["loss"]].astype(float).isna().any(axis=None):
            raise ValueError("a number is missing")
        return table
