"""From settings to data sets: the source's crystals cleaned and split, then the file that is trained on."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from crystalnet.data.building import build_store
from crystalnet.data.canonical import canonical
from crystalnet.data.cleaned import Cleaned, clean
from crystalnet.data.composition import known_composition
from crystalnet.data.crystals import Crystal
from crystalnet.data.prototypes import prototype_crystals
from crystalnet.data.published import read_id_lists
from crystalnet.data.store import ALTERED, Store
from crystalnet.data.tables import read_crystals
from crystalnet.data.variations import variations
from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.cluster import cluster
from crystalnet.runs.params import Params
from crystalnet.runs.places import located
from crystalnet.runs.provenance import code_digest, environment, fingerprint
from crystalnet.runs.results import Results, alone

# settings that change no crystal and no number of a data set
ASIDE = {"crystal_systems", "compare_densities", "connections", "keep_chgcar", "refresh", "scheduler"}


class DataSets(Results):
    """The data of a run, made on demand and kept."""

    def __init__(self, params: Params, folder: str | Path | None = None, progress: bool = True):
        super().__init__(params, folder, progress)
        self._cleaned: dict[str, Cleaned] = {}
        self._stores: dict[str, Store] = {}

    @property
    def systems(self) -> tuple[str, ...]:
        return self.params.data.crystal_systems

    def cleaned(self, system: str) -> Cleaned:
        """Crystals of a crystal system from the source, without duplicates, split."""
        if system not in self._cleaned:
            key = self._key()
            place = self.place("crystals", system, key)
            path = place / "crystals.jsonl.gz"
            with self.making(place, anew=self.params.data.refresh) as missing:
                if missing:
                    started = time.perf_counter()
                    made = self._clean(system)
                    made.write(path)
                    self.finish(place, started, crystals=len(made.crystals), of=key)
            self._cleaned[system] = Cleaned.read(path)
        return self._cleaned[system]

    def store(self, system: str) -> Store:
        """The data set of a crystal system, built or continued if it is not whole."""
        if system not in self._stores:
            data = self.params.data
            key = self._key()
            if data.source == "materials_project":  # what is on disk grows when failed downloads are repeated
                key["crystals"] = [c.material_id for c in self.cleaned(system).crystals]
            place = self.place("data", system, key)
            path = place / f"{system}.h5"
            with self.making(place) as missing:
                if missing:
                    started = time.perf_counter()
                    sets, settings = self._sets(system), (data.n_grid, data.density, data.chgcar_method)
                    with _executor(data.scheduler) as where:
                        built = build_store(sets, path, *settings, **where, progress=self.progress)
                    self.finish(place, started, crystals=len(built), data_hash=built.digest, of=self._key())
            self._stores[system] = Store(path)
        return self._stores[system]

    def _sets(self, system: str) -> dict[str, list[Crystal]]:
        """Crystals by split, and the training crystals' altered copies as a split of their own."""
        splits, data = self.cleaned(system).splits, self.params.data
        if not data.variations:
            return splits
        if data.density == "dft":
            raise CrystalNetError(
                "Altered copies have no DFT density. Set data.variations to 0, or data.density to another.",
                Code.BAD_SETTING,
            )
        held_out = [*splits["val"], *splits["test"]]
        copies = variations(splits["train"], data.variations, data.seed, held_out)
        if data.cell == "canonical":
            copies = [_canonical(crystal, data.density) for crystal in copies]
        return {**splits, ALTERED: copies}

    def build_report(self, system: str) -> dict[str, int]:
        """How many rows of the source became what, and why the others did not; reasons start with a dash."""
        cleaned, failures = self.cleaned(system), Counter(filter(None, self.store(system).failures))
        return {
            "usable": len(cleaned.crystals),
            "put right": sum(cleaned.report.put_right.values()),
            **{f"- {reason}": count for reason, count in cleaned.report.put_right.items()},
            "left out": sum(cleaned.report.left_out.values()),
            **{f"- {reason}": count for reason, count in cleaned.report.left_out.items()},
            "duplicates": len(cleaned.duplicates),
            "held back by the split": len(cleaned.held_back),
            "could not be computed": failures.total(),
            **{f"- {reason}": count for reason, count in failures.items()},
            "in the data set": len(self.store(system)) - failures.total(),
        }

    def compositions(self, system: str, level: str = "baseline") -> np.ndarray:
        """What a network may know of the compositions at a level of Table 2, (N, 118)."""
        store = self.store(system)
        names = [crystal.material_id for crystal in store.crystals]
        return known_composition(store.compositions, names, level, self.params.data.seed)

    def provenance(self, system: str) -> str:
        """One line under a table: data, split, density, protocol sizes, hardware, settings."""
        store, params = self.store(system), self.params
        counts = ", ".join(f"{len(store.indices(name))} {name}" for name in ("train", "val", "test"))
        altered = len(store.indices(ALTERED))
        counts += f", {altered} altered copies of them" * bool(altered)
        return (
            f"{system}: {len(store) - altered} crystals from {params.data.source} ({counts};"
            f" {params.data.split} split, data {store.digest[:10]}), {store.density_source} density, profile"
            f" {params.profile}, {environment()['hardware']}"
        )

    def _key(self) -> dict:
        """Everything that makes the data."""
        data = self.params.data
        key = {"data": data.model_dump(exclude=ASIDE), "code": code_digest("physics", "data")}
        if data.source not in ("prototypes", "materials_project"):
            key["files"] = fingerprint(located("data.source", data.source))
        if data.id_lists:
            key["id_lists"] = fingerprint(located("data.id_lists", data.id_lists))
        return key

    def _clean(self, system: str) -> Cleaned:
        data = self.params.data
        lists = data.id_lists and read_id_lists(located("data.id_lists", data.id_lists), system)
        if data.source == "prototypes":
            if data.n_crystals is None:
                raise CrystalNetError(
                    "The embedded source needs data.n_crystals. Set it, for example to 600.",
                    Code.BAD_SETTING,
                )
            largest = {} if data.max_atoms is None else {"max_atoms": data.max_atoms}
            crystals, left_out = prototype_crystals(system, data.n_crystals, data.seed, **largest), Counter()
        elif data.source == "materials_project":
            crystals, left_out = self._downloaded(system, lists)
        else:
            path = located("data.source", data.source)
            crystals, left_out = read_crystals(path, system, data.n_crystals, self.progress)
        small = [c for c in crystals if len(c.atoms.symbols) <= (data.max_atoms or math.inf)]
        if len(small) < len(crystals):
            left_out[f"more than data.max_atoms ({data.max_atoms}) atoms"] = len(crystals) - len(small)
        listed, missing, unlisted = lists.label(small) if lists else (small, (), 0)
        if data.cell == "canonical":
            listed = [_canonical(crystal, data.density) for crystal in listed]
        return clean(listed, data.split, data.seed, left_out=left_out, missing=missing, unlisted=unlisted)

    def _downloaded(self, system: str, lists) -> tuple[list[Crystal], Counter]:
        from crystalnet.data.materials_project import fetch

        data = self.params.data
        folder = self.folder.parent / "materials_project"
        with alone(folder, self.progress):  # several data sets are made of it
            fetched = fetch(
                system,
                folder,
                densities=data.density != "promolecule",
                ids=[i for formulas in lists.lists.values() for i in formulas] if lists else None,
                n_grid=data.n_grid,
                chgcar_method=data.chgcar_method,
                keep_chgcar=data.keep_chgcar,
                limit=data.n_crystals,
                workers=data.connections,
                progress=self.progress,
            )
        failures = (reason.removeprefix(f"{name}: ") for name, reason in fetched.failures.items())
        return fetched.crystals, Counter(failures)


def _canonical(crystal: Crystal, density: str) -> Crystal:
    if crystal.density_file and density != "promolecule":
        raise CrystalNetError(
            f"{crystal.material_id} has its density on the cell of its file. Set data.cell to 'given', or"
            " data.density to 'promolecule'.",
            Code.BAD_SETTING,
        )
    return replace(crystal, atoms=canonical(crystal.atoms, crystal.material_id))


@contextmanager
def _executor(scheduler: str | None) -> Iterator[dict]:
    """Where `build_store` computes: this machine's processes, or the cluster of a Dask scheduler."""
    if scheduler is None:
        yield {}
        return
    with cluster(scheduler) as client:
        yield {"executor": client.get_executor(pure=False), "workers": sum(client.ncores().values())}
