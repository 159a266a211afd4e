"""From data sets to trained networks, each made once, under a run's settings or those of a variant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd
import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.hardware import n_cores
from crystalnet.model import library, networks
from crystalnet.model.checkpoints import load_weights
from crystalnet.model.network import DensityNetwork
from crystalnet.model.training import BEST, train
from crystalnet.runs.datasets import DataSets
from crystalnet.runs.params import Params
from crystalnet.runs.provenance import code_digest, file_digest, write_text
from crystalnet.runs.results import read_table
from crystalnet.settings import NO_NUMBERS


class Trained(NamedTuple):
    """A network, how it learnt, what made it, and the digest of the file of its weights."""

    model: DensityNetwork
    history: pd.DataFrame
    manifest: dict
    weights: str


class Trainings(DataSets):
    """The networks of a run, each trained when it is asked for and kept."""

    def __init__(self, params: Params, folder: str | Path | None = None, progress: bool = True):
        super().__init__(params, folder, progress)
        self._varied: dict[str, Self] = {}

    def network(self, level: str = "baseline") -> DensityNetwork:
        """A fresh network of this run's kind and size."""
        return networks.build(
            {
                **self.params.model.model_dump(),
                "use_composition": level != "no_formula",
                "seed": self.params.training.seed,
            }
        )

    def trained(self, system: str, level: str | None = None, variant: str | None = None) -> Trained:
        """The network of a crystal system, trained if it is not there.

        With `level` it is trained under the ablations' protocol; with `variant` settings differ as
        `ablations.variants` says. One that begins with a network of the package has seen its training
        crystals: its scores are honest where the split is the same.

        Raises:
            CrystalNetError: no such network to begin with or to take encoders from, or one of another kind
                or size.
        """
        if variant:
            return self.varied(variant).trained(system, level)
        store, model = self.store(system), self.network(level or "baseline")
        settings = self.params.training
        if level is not None:
            changed = self.params.ablations.model_dump(include={"epochs", "strata", "val_samples"})
            changed["restart_epochs"] = min(settings.restart_epochs, changed["epochs"])  # end at rest
            settings = settings.model_copy(update=changed)
        key = {
            "data_hash": store.digest,
            "level": level,
            "model": model.settings,
            "training": settings.model_dump(exclude=NO_NUMBERS),
            "code": code_digest("physics", "data", "model"),
        }
        if settings.begins_with:
            begun = self.begun(level or "baseline")
            model, key["begun"] = begun.model, begun.weights
        if name := settings.encoders_from:
            model.take_encoders(library.load(name))  # also where training resumes: no gradient for these
            key["encoders"] = file_digest(library.path_of(name))
        kind = "training" if level is None else f"ablation-{level}"
        folder = self.place(kind, system, key)
        history_path = folder / "history.csv"
        with self.making(folder) as missing:
            if missing:
                started = time.perf_counter()
                store.verify(self.progress)
                compositions = self.compositions(system, level or "baseline")
                with self.share_of_cores():
                    history = train(model, store, compositions, settings, folder, progress=self.progress)
                write_text(history_path, history.to_csv(index=False))
                self.finish(
                    folder,
                    started,
                    epochs=f"{len(history)} of {settings.epochs}",
                    training_seconds=history["seconds"].sum(),
                    **key,
                )
        load_weights(folder / BEST, model)
        return Trained(model, read_table(history_path), self.manifest(folder), file_digest(folder / BEST))

    def begun(self, level: str = "baseline") -> Trained:
        """The network of the package that training begins with.

        Raises:
            CrystalNetError: none is named, there is none of this name, or one of another kind or size than a
                fresh one; seeds may differ.
        """
        name = self.params.training.begins_with
        if not name:
            raise CrystalNetError(
                "training.begins_with names no network of the package. Set it.", Code.BAD_SETTING
            )
        model = library.load(name)
        asked = {**self.network(level).settings, "seed": model.settings["seed"]}
        if other := [key for key in asked if model.settings.get(key) != asked[key]]:
            raise CrystalNetError(
                f"training.begins_with: {name!r} differs from the network to be trained in"
                f" {', '.join(f'{key} ({model.settings.get(key)})' for key in other)}. Set these in model"
                " as it has them, or begin with another.",
                Code.BAD_SETTING,
            )
        weights = file_digest(library.path_of(name))
        return Trained(model, pd.DataFrame(), {"network": name, "weights": weights}, weights)

    def varied(self, name: str) -> Self:
        """This run with the changes of one of `ablations.variants`, of the data as well."""
        if name not in self._varied:
            self._varied[name] = type(self)(self.params.variant(name), self.folder, self.progress)
        return self._varied[name]

    @contextmanager
    def share_of_cores(self) -> Iterator[None]:
        """Fixed number of threads, since the order of summation, and with it the last bit, depends on it."""
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, n_cores() // self.params.training.networks_at_once))
        try:
            yield
        finally:
            torch.set_num_threads(before)
