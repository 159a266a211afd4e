"""A run: settings to data sets, weights and scores on disk, each made once and each with its manifest.

A result lives in a folder named after a hash of everything that made it (settings, data, source code), so
that it is reused while nothing changed and never mixed with another. Interrupted work goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.data.cleaning import drop_duplicates, split
from crystalnet.data.composition import known_composition
from crystalnet.data.crystals import Crystal
from crystalnet.data.prototypes import prototype_crystals
from crystalnet.data.store import Store, build_store
from crystalnet.data.tables import read_crystals
from crystalnet.errors import CrystalNetError
from crystalnet.hardware import n_cores
from crystalnet.model.checkpoints import load_weights
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.training import BEST, train
from crystalnet.params import Params, repository_root
from crystalnet.provenance import code_digest, environment, fingerprint, write_text
from crystalnet.solve.baselines import MeanDensity, NearestNeighbour
from crystalnet.solve.evaluation import evaluate, summary

PREDICTORS = ("CrystalNet", "nearest neighbour", "mean density")


class Cleaned(NamedTuple):
    """The crystals of a source before and after cleaning, and their splits by name."""

    crystals: list[Crystal]
    duplicates: list[Crystal]
    splits: dict[str, list[Crystal]]


class Trained(NamedTuple):
    model: CrystalNet
    history: pd.DataFrame
    manifest: dict


class Run:
    """Everything that the chapters compute, on demand.

    Args:
        params: settings, see `Params.load`.
        folder: where results are kept, by default _build/runs of the repository.
        progress: show progress bars.
    """

    def __init__(self, params: Params, folder=None, progress: bool = True):
        self.params = params
        self.folder = Path(folder) if folder else repository_root() / "_build" / "runs"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrystalNetError(
                f"{self.folder} cannot hold results ({error}). Choose another folder."
            ) from None
        self.progress = progress
        self._cleaned: dict[str, Cleaned] = {}
        self._stores: dict[str, Store] = {}

    @property
    def systems(self) -> tuple[str, ...]:
        return self.params.data.crystal_systems

    # ------------------------------------------------------------------ data

    def cleaned(self, system: str) -> Cleaned:
        """Crystals of a crystal system from the source, without duplicates, split."""
        if system not in self._cleaned:
            data = self.params.data
            if data.source == "prototypes":
                if data.n_crystals is None:
                    raise CrystalNetError(
                        "The embedded source needs data.n_crystals. Set it, for example to 600."
                    )
                largest = {} if data.max_atoms is None else {"max_atoms": data.max_atoms}
                crystals = prototype_crystals(system, data.n_crystals, data.seed, **largest)
            else:
                crystals = read_crystals(self._source(), system, data.n_crystals)
                crystals = [c for c in crystals if len(c.structure) <= (data.max_atoms or math.inf)]
            kept, duplicates = drop_duplicates(crystals)
            splits = split(kept, how=data.split, seed=data.seed)
            self._cleaned[system] = Cleaned(crystals, duplicates, splits)
        return self._cleaned[system]

    def store(self, system: str) -> Store:
        """The data set of a crystal system, built if it is not there."""
        if system not in self._stores:
            data = self.params.data
            key = {
                "data": data.model_dump(exclude={"crystal_systems"}),
                "code": code_digest("physics", "data"),
            }
            if data.source != "prototypes":
                key["files"] = fingerprint(self._source())
            folder = self._folder("data", system, key)
            path = folder / f"{system}.h5"
            if path.exists():
                self._stores[system] = Store(path)
            else:
                started = time.perf_counter()
                splits = self.cleaned(system).splits
                built = build_store(splits, path, data.n_grid, data.chgcar_method, progress=self.progress)
                self._manifest(folder, started, crystals=len(built), data_hash=built.digest, of=key)
                self._stores[system] = built
        return self._stores[system]

    def compositions(self, system: str, level: str = "baseline") -> np.ndarray:
        """What a network may know of the compositions at a level of Table 2, (N, 118)."""
        store = self.store(system)
        names = [crystal.material_id for crystal in store.crystals]
        return known_composition(store.compositions, names, level, self.params.data.seed)

    # ------------------------------------------------------------------ networks

    def network(self, level: str = "baseline") -> CrystalNet:
        """A fresh network of this run's size."""
        return CrystalNet(
            **self.params.model.model_dump(),
            use_composition=level != "no_formula",
            seed=self.params.training.seed,
        )

    def trained(self, system: str, level: str | None = None) -> Trained:
        """The network of a crystal system, trained if it is not there; with `level`, as in the ablations."""
        store, model = self.store(system), self.network(level or "baseline")
        settings = self.params.training
        if level is not None:
            pared_down = ("epochs", "strata", "val_samples")
            settings = settings.model_copy(update={k: getattr(self.params.ablations, k) for k in pared_down})
        key = {
            "data_hash": store.digest,
            "level": level,
            "model": model.settings,
            "training": settings.model_dump(),
            "code": code_digest("physics", "data", "model"),
        }
        folder = self._folder("training" if level is None else f"ablation-{level}", system, key)
        history_path = folder / "history.csv"
        if (folder / "manifest.json").exists():
            load_weights(folder / BEST, model)
            return Trained(
                model, pd.read_csv(history_path), json.loads((folder / "manifest.json").read_text())
            )
        started = time.perf_counter()
        compositions = self.compositions(system, level or "baseline")
        with self._share_of_cores():
            history = train(model, store, compositions, settings, folder, self.progress)
        write_text(history_path, history.to_csv(index=False))
        manifest = self._manifest(
            folder,
            started,
            epochs=f"{len(history)} of {settings.epochs}",
            training_seconds=history["seconds"].sum(),
            **key,
        )
        return Trained(model, history, manifest)

    # ------------------------------------------------------------------ scores

    def evaluation(self, system: str, predictor: str = "CrystalNet") -> pd.DataFrame:
        """Table 1, a row a test crystal, both protocols (see `solve.evaluation.evaluate`)."""
        store, settings = self.store(system), self.params.evaluation
        if predictor not in PREDICTORS:
            raise CrystalNetError(f"Unknown predictor {predictor!r}. Choose one of {', '.join(PREDICTORS)}.")
        trained = self.trained(system) if predictor == "CrystalNet" else None
        return self._scores(
            f"evaluation-{predictor.replace(' ', '-')}",
            system,
            trained,
            predictor,
            store.compositions,
            settings.n_samples,
            settings.max_test,
        )

    def ablation(self, system: str, level: str) -> pd.DataFrame:
        """Table 2, a row a test crystal, at one level of known composition."""
        settings = self.params.ablations
        return self._scores(
            f"ablation-scores-{level}",
            system,
            self.trained(system, level),
            level,
            self.compositions(system, level),
            settings.n_samples,
            settings.max_test,
        )

    def _scores(self, kind, system, trained, name, compositions, n_samples, max_test) -> pd.DataFrame:
        store, seed = self.store(system), self.params.evaluation.seed
        key = {
            "data_hash": store.digest,
            "predictor": name,
            "training": trained.manifest if trained else None,
            "n_samples": n_samples,
            "max_test": max_test,
            "seed": seed,
            "code": code_digest("physics", "data", "model", "solve"),
        }
        folder = self._folder(kind, system, key)
        path = folder / "scores.csv"
        if not (folder / "manifest.json").exists():
            started = time.perf_counter()
            predictor = (
                trained.model
                if trained
                else {"nearest neighbour": NearestNeighbour, "mean density": MeanDensity}[name](store)
            )
            rows = store.indices("test", max_test)
            with self._share_of_cores():
                table = evaluate(
                    predictor, store, compositions, rows, n_samples, seed, self.progress, f"{system} {name}"
                )
            write_text(path, table.to_csv(index=False))
            self._manifest(folder, started, **key)
        return pd.read_csv(path)

    def table_1(self) -> pd.DataFrame:
        """Summary of every predictor on every crystal system; the index is (system, predictor)."""
        self.side_by_side("evaluation", [(s, p) for p in PREDICTORS for s in self.systems])
        rows = {(s, p): summary(self.evaluation(s, p)) for s in self.systems for p in PREDICTORS}
        return pd.DataFrame(rows).T.rename_axis(["system", "predictor"])

    def table_2(self) -> pd.DataFrame:
        """Summary of every level of known composition; the index is (system, level)."""
        levels = self.params.ablations.levels
        self.side_by_side("ablation", [(s, level) for level in levels for s in self.systems])
        rows = {(s, level): summary(self.ablation(s, level)) for s in self.systems for level in levels}
        return pd.DataFrame(rows).T.rename_axis(["system", "level"])

    def side_by_side(self, method: str, cases: Iterable[tuple]) -> None:
        """Compute `method(*case)` for all cases, `training.networks_at_once` at a time, in processes.

        The results are on disk afterwards. A small network gains nothing from a second core, two of them do.
        """
        workers = self.params.training.networks_at_once
        if workers == 1:
            return  # each is made when it is asked for
        for system in self.systems:
            self.store(system)
        cases = list(cases)
        jobs = (delayed(_computed)(self.params, self.folder, method, case) for case in cases)
        done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
        for _ in tqdm(done, total=len(cases), desc=method, disable=not self.progress):
            pass

    @contextmanager
    def _share_of_cores(self):
        """Fixed number of threads, since the order of summation, and with it the last bit, depends on it."""
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, n_cores() // self.params.training.networks_at_once))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    # ------------------------------------------------------------------ provenance

    def provenance(self, system: str) -> str:
        """One line under a table: data, split, density, protocol sizes, hardware, settings."""
        store, params = self.store(system), self.params
        counts = ", ".join(f"{len(store.indices(name))} {name}" for name in ("train", "val", "test"))
        return (
            f"{system}: {len(store)} crystals from {params.data.source} ({counts}; {params.data.split} split,"
            f" data {store.digest[:10]}), {store.density_source} density, profile {params.profile},"
            f" {environment()['hardware']}"
        )

    def _source(self) -> Path:
        path = Path(self.params.data.source).expanduser()
        path = path if path.is_absolute() else repository_root() / path
        if not path.exists():
            raise CrystalNetError(
                f"data.source {self.params.data.source!r} does not exist, seen from the repository."
                " Give a file or folder of crystals, or 'prototypes' for the embedded ones."
            )
        return path

    def _folder(self, kind: str, system: str, key: dict) -> Path:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        return self.folder / f"{kind}-{system}-{digest[:12]}"

    def _manifest(self, folder: Path, started: float, **facts) -> dict:
        """Write what made a result; its presence says that the result is whole."""
        manifest = {
            **facts,
            "environment": environment(),
            "wall_seconds": round(time.perf_counter() - started, 2),
        }
        manifest["params"] = self.params.model_dump()
        manifest = json.loads(json.dumps(manifest, default=str))
        write_text(folder / "manifest.json", json.dumps(manifest, indent=1))
        return manifest


def _computed(params: Params, folder: Path, method: str, case: tuple) -> None:
    """One case in a process of its own; its progress bar shows where there is a terminal."""
    getattr(Run(params, folder, progress=sys.stderr.isatty()), method)(*case)
