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

from crystalnet.errors import Code, CrystalNetError, writing
from crystalnet.runs.params import Params
from crystalnet.runs.provenance import SCIENCE, code_digest
from crystalnet.runs.trainings import Trainings
from crystalnet.scoring.attempts import solved
from crystalnet.scoring.challenges import challenge_of
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.pretrained import network_name
from crystalnet.solving.templates import FAMILIES

LEARNED = {"network", "phasing", "seeded"}  # sources that ask a network
UNSEEN = "held-out types"  # the variant whose training holds no structure type of its test crystals


class Solvings(Trainings):
    """Crystals of a run's splits, solved under the challenges of chapter 9.

    The catalogue holds the training crystals. Where structure types are withheld, they are withheld from
    catalogue and network alike: crystals, catalogue and network are those of the variant UNSEEN.
    """

    def __init__(self, params: Params, folder: str | Path | None = None, progress: bool = True):
        super().__init__(params, folder, progress)
        self._catalogues: dict[str, Catalogue] = {}

    def challenge(self, system: str, name: str, split: str = "test") -> pd.DataFrame:
        """A row a crystal, see `attempts.solved`; `attrs['manifest']` says what made them.

        Crystals are drawn at random, by the seed of the evaluation alone.
        """
        challenge = challenge_of(name)
        run = self.varied(UNSEEN) if challenge.withheld == "type" else self
        family, network, asked = FAMILIES[system], None, None
        if LEARNED.intersection(challenge.sources):
            asked = network_name(family, challenge.pattern == "exact")
            if run is not self:  # the package's own saw the types
                network, asked = {family: run.trained(system, "baseline").model.eval()}, UNSEEN
        crystals = run.cleaned(system).splits[split]
        settings = self.params.solving
        order = np.random.default_rng(settings.seed).permutation(len(crystals))
        crystals = [crystals[i] for i in order[: settings.most.get(name, settings.most["others"])]]
        key = {
            "challenge": repr(challenge),
            "split": split,
            "crystals": [crystal.material_id for crystal in crystals],
            "catalogue": len(run.cleaned(system).splits["train"]),
            "network": asked,
            "seconds": settings.seconds,
            "code": code_digest(*SCIENCE),
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
                    with writing(rows_path), rows_path.open("a") as file:
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
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise CrystalNetError(
            f"{path} is damaged ({error}). Delete its folder and run again.", Code.DAMAGED
        ) from None
