"""The challenges of a run: which crystals are solved, with what, a row each; resumed where they broke off."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.errors import CrystalNetError
from crystalnet.params import Params, repository_root
from crystalnet.provenance import code_digest, write_text
from crystalnet.results import read_table
from crystalnet.solving.attempts import solved
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.challenges import challenge_of
from crystalnet.solving.solution import NETWORKS
from crystalnet.solving.templates import FAMILIES
from crystalnet.trainings import Trainings

LEARNED = {"network", "phasing", "seeded"}  # sources that ask a network
UNSEEN = "held-out types"  # the variant whose training holds no structure type of its test crystals


class Solvings(Trainings):
    """Crystals of a run's splits, solved under the challenges of chapter 9.

    The catalogue holds the training crystals. Where structure types are withheld, they are withheld from
    catalogue and network alike: crystals, catalogue and network are those of the variant UNSEEN.
    """

    def __init__(self, params: Params, folder=None, progress: bool = True):
        super().__init__(params, folder, progress)
        self._catalogues: dict[str, Catalogue] = {}

    def challenge(self, system: str, name: str, split: str = "test") -> pd.DataFrame:
        """A row a crystal, see `attempts.solved`; `attrs['manifest']` says what made them.

        Crystals are drawn at random, by the seed of the evaluation alone.
        """
        challenge = challenge_of(name)
        run = self.varied(UNSEEN) if challenge.withheld == "type" else self
        asks = LEARNED.intersection(challenge.sources)  # the package's own network, unless that saw the types
        network = None
        if asks and run is not self:
            network = {FAMILIES[system]: run.trained(system, "baseline").model.eval()}
        crystals = run.cleaned(system).splits[split]
        settings = self.params.solving
        order = np.random.default_rng(settings.seed).permutation(len(crystals))
        crystals = [crystals[i] for i in order[: settings.most.get(name, settings.most["others"])]]
        key = {
            "challenge": repr(challenge),
            "split": split,
            "crystals": [crystal.material_id for crystal in crystals],
            "catalogue": len(run.cleaned(system).splits["train"]),
            "network": (UNSEEN if network else NETWORKS.get(FAMILIES[system])) if asks else None,
            "seconds": settings.seconds,
            "code": code_digest("physics", "data", "model", "solving"),
        }
        place = self.place("challenge", system, key)
        rows_path = place / "rows.jsonl"
        with run.making(place) as missing:
            if missing:
                started = time.perf_counter()
                rows = _read_rows(rows_path)
                todo = crystals[len(rows) :]
                bar = tqdm(todo, desc=f"{system}, {name}", unit="crystal", disable=not self.progress)
                for crystal in bar:
                    row = solved(crystal, challenge, run.catalogue(system), network, settings.seconds)
                    with rows_path.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                run.finish(place, started, **{k: v for k, v in key.items() if k != "crystals"})
        table = pd.DataFrame(_read_rows(rows_path)).astype({"material_id": str})
        table.attrs["manifest"] = self.manifest(place)
        return table

    def catalogue(self, system: str) -> Catalogue:
        """Of the training crystals of a system."""
        if system not in self._catalogues:
            self._catalogues[system] = Catalogue(self.cleaned(system).splits["train"], self.progress)
        return self._catalogues[system]

    def challenges(self, names: Iterable[str], split: str = "test") -> dict[tuple[str, str], pd.DataFrame]:
        """Several challenges of every system."""
        cases = [(system, challenge) for challenge in names for system in self.systems]
        workers = self.params.training.networks_at_once
        if workers > 1:
            jobs = (delayed(_done)(self.params, self.folder, *case, split) for case in cases)
            Parallel(n_jobs=workers)(jobs)
        return {case: self.challenge(*case, split) for case in cases}


def _done(params: Params, folder: Path, system: str, name: str, split: str) -> None:
    Solvings(params, folder, progress=False).challenge(system, name, split)


def publish_challenges(
    run: Solvings, names: Iterable[str] = (), splits: Iterable[str] = ("val", "test"), folder=None
) -> Path:
    """Keep the rows of challenges in the repository: book/solved/<profile>.csv and .json.

    Args:
        names: of challenges, by default all that the settings name. What is kept of others stays as it is.

    Raises:
        CrystalNetError: an error of the run, or what is kept is damaged.
    """
    folder = Path(folder) if folder else repository_root() / "book" / "solved"
    path = folder / f"{run.params.profile}.csv"
    names = tuple(names) or run.params.solving.challenges
    for name in names:
        challenge_of(name)  # an error now, not after the others
    rows, manifest = _read_kept(path) if path.exists() else (pd.DataFrame(), {})
    parts = {key: rows[_case(rows) == key] for key in manifest}
    for split in splits:
        for (system, name), table in run.challenges(names, split).items():
            key = f"{split}, {system}, {name}"
            parts[key] = table.assign(system=system, challenge=name, split=split)
            manifest[key] = table.attrs["manifest"]
    write_text(path, pd.concat(parts.values()).to_csv(index=False, float_format="%.5g"))
    write_text(path.with_suffix(".json"), json.dumps(manifest, indent=1))
    return path


def _case(rows: pd.DataFrame) -> pd.Series:
    """What a manifest calls each row's challenge."""
    return rows["split"] + ", " + rows["system"] + ", " + rows["challenge"]


def read_challenges(folder=None) -> tuple[pd.DataFrame, dict]:
    """All rows that are kept, of every profile, and what made them.

    Raises:
        CrystalNetError: a file is damaged; names it.
    """
    folder = Path(folder) if folder else repository_root() / "book" / "solved"
    tables, manifest = [], {}
    for path in sorted(folder.glob("*.csv")):
        table, made_by = _read_kept(path)
        tables.append(table)
        manifest |= made_by
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), manifest


def _read_kept(path: Path) -> tuple[pd.DataFrame, dict]:
    try:
        table = read_table(path)
        manifest = json.loads(path.with_suffix(".json").read_text())
        if set(_case(table)) != set(manifest):
            raise ValueError("their challenges differ")
    except (OSError, ValueError, KeyError) as error:
        raise CrystalNetError(
            f"{path} or its .json is damaged ({error}). Take both from the repository again."
        ) from None
    return table, manifest


def _read_rows(path: Path) -> list[dict]:
    """Rows that were written whole."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # broken off within a line
        part = path.with_name(path.name + ".part")
        part.write_text(whole)
        os.replace(part, path)
    return [json.loads(line) for line in whole.splitlines()]
