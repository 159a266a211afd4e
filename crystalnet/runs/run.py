"""A run: settings to networks and scores on disk, each made once. Interrupted work goes on where it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.data.densities import density_files
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.hardware import device
from crystalnet.runs.params import Params
from crystalnet.runs.places import located
from crystalnet.runs.provenance import SCIENCE, code_digest, fingerprint, write_text
from crystalnet.runs.results import read_table
from crystalnet.runs.trainings import Trained, Trainings
from crystalnet.scoring.baselines import MeanDensity, NearestNeighbour
from crystalnet.scoring.evaluation import evaluate, summary
from crystalnet.settings import MIXED

BASELINES = {"nearest neighbour": NearestNeighbour, "mean density": MeanDensity}
PREDICTORS = ("CrystalNet", *BASELINES)
TRUTHS = ("data set", "dft")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scoring:
    """What is scored, on which crystals of a data set, and by which protocol.

    Attributes:
        kind: what the folder of the scores is called.
        predictor: one of `PREDICTORS`.
        network: the network, where that is the predictor.
        level: what it is told of each composition, a level of Table 2.
        patterns: what it is given, a name in `scoring.challenges.CHALLENGES`.
        split, most: the crystals: the first so many of a split, or all of it.
        truth: one of `TRUTHS`; by 'dft' only crystals with such a density are scored.
        n_samples: guesses of the 'paper' protocol.
    """

    kind: str
    predictor: str = PREDICTORS[0]
    network: Trained | None = None
    level: str = "baseline"
    patterns: str
    split: str = "test"
    most: int | None
    truth: str = TRUTHS[0]
    n_samples: int


class Run(Trainings):
    """Everything that the chapters compute, on demand; see `Results` for its arguments."""

    def evaluation(self, system: str, predictor: str = PREDICTORS[0], truth: str = TRUTHS[0]) -> pd.DataFrame:
        """Table 1, a row a test crystal, both protocols (see `scoring.evaluation.evaluate`).

        `truth='dft'` scores those crystals that have a density in `evaluation.densities` against it.
        """
        _check("predictor", predictor, PREDICTORS)
        _check("truth", truth, TRUTHS)
        settings = self.params.evaluation
        scoring = Scoring(
            kind=f"evaluation-{predictor.replace(' ', '-')}" + "-dft" * (truth == "dft"),
            predictor=predictor,
            network=None if predictor in BASELINES else self.trained(system),
            patterns=settings.patterns,
            most=settings.max_test,
            truth=truth,
            n_samples=settings.n_samples,
        )
        return self._scores(system, scoring)

    def validation(self, system: str) -> pd.DataFrame:
        """The network's scores on the validation crystals, as those on the test: what it says of itself is
        calibrated with them."""
        settings = self.params.evaluation
        scoring = Scoring(
            kind="validation",
            network=self.trained(system),
            patterns=settings.patterns,
            split="val",
            most=self.params.training.max_val,
            n_samples=settings.n_samples,
        )
        return self._scores(system, scoring)

    def ablation(self, system: str, level: str) -> pd.DataFrame:
        """Table 2, a row a test crystal, at one level of known composition."""
        network = self.trained(system, level)
        return self._ablated(system, kind=f"ablation-scores-{level}", network=network, level=level)

    def variant(self, system: str, name: str) -> pd.DataFrame:
        """The baseline of the ablations with the changes of one of `ablations.variants`."""
        return self.varied(name).ablation(system, "baseline")

    def retrieval(self, system: str, name: str) -> pd.DataFrame:
        """The nearest neighbour on the test crystals of a variant with data of its own."""
        return self.varied(name)._ablated(system, kind="ablation-retrieval", predictor="nearest neighbour")

    def spoilt(self, system: str, patterns: str, network: str = "trained") -> pd.DataFrame:
        """The scores where test patterns are as a challenge has them; `network='begun'`: of the one that
        training begins with."""
        _check("network", network, ("trained", "begun"))
        asked = self.begun() if network == "begun" else self.trained(system)
        return self._ablated(system, kind=f"spoilt-{network}", network=asked, patterns=patterns)

    def _ablated(self, system: str, **asked) -> pd.DataFrame:
        """Scores by the ablations' protocol. `asked`: what a `Scoring` says beside it."""
        settings = self.params.ablations
        asked = {"patterns": self.params.evaluation.patterns, **asked}
        return self._scores(system, Scoring(**asked, most=settings.max_test, n_samples=settings.n_samples))

    def _scores(self, system: str, scoring: Scoring) -> pd.DataFrame:
        """The scores of a crystal system, made if they are not there; `attrs['manifest']` says what did."""
        store, settings, network = self.store(system), self.params.evaluation, scoring.network
        key = {
            "data_hash": store.digest,
            "predictor": scoring.predictor,
            "weights": network and network.weights,
            "level": scoring.level,
            "n_samples": scoring.n_samples,
            "most": scoring.most,
            "split": scoring.split,
            "precision": settings.precision,
            "patterns": scoring.patterns,
            "seed": settings.seed,
            "code": code_digest(*SCIENCE),
        }
        truths = None
        if scoring.truth == "dft":
            if not settings.densities:
                raise CrystalNetError(
                    "evaluation.densities names no folder of DFT densities. Set it.", Code.BAD_SETTING
                )
            truths = located("evaluation.densities", settings.densities)
            key["densities"] = fingerprint(truths)
        folder = self.place(scoring.kind, system, key)
        path = folder / "scores.csv"
        with self.making(folder) as missing:
            if missing:
                started = time.perf_counter()
                rows, files = _crystals(store, scoring, truths)
                with self.share_of_cores():
                    table = evaluate(
                        network.model.to(device(self.params.training.accelerator))
                        if network
                        else BASELINES[scoring.predictor](store),
                        store,
                        self.compositions(system, scoring.level),
                        rows,
                        scoring.n_samples,
                        seed=settings.seed,
                        progress=self.progress,
                        name=f"{system}, {scoring.kind}",
                        density_files=files,
                        mixed_precision=settings.precision == MIXED,
                        patterns=scoring.patterns,
                    )
                write_text(path, table.to_csv(index=False))
                self.finish(folder, started, **key, training=network and network.manifest)
        table = read_table(path)
        table.attrs["manifest"] = self.manifest(folder)
        return table

    def table_1(self) -> pd.DataFrame:
        """Summary of every predictor on every crystal system; the index is (system, predictor)."""
        self.side_by_side(Run.evaluation, [(s, p) for p in PREDICTORS for s in self.systems], "evaluation")
        rows = {(s, p): summary(self.evaluation(s, p)) for s in self.systems for p in PREDICTORS}
        return pd.DataFrame(rows).T.rename_axis(["system", "predictor"])

    def table_2(self) -> pd.DataFrame:
        """Summary of every level of known composition; the index is (system, level)."""
        levels = self.params.ablations.levels
        self.side_by_side(Run.ablation, [(s, level) for level in levels for s in self.systems], "ablation")
        rows = {(s, level): summary(self.ablation(s, level)) for s in self.systems for level in levels}
        return pd.DataFrame(rows).T.rename_axis(["system", "level"])

    def side_by_side(self, make: Callable, cases: Iterable[tuple], name: str) -> None:
        """Compute `make(run, *case)` for all cases, `training.networks_at_once` at a time, in processes.

        The results are on disk afterwards. A small network gains nothing from a second core, two of them do.

        Args:
            make: a method of `Run`, or a function of one.
            name: of the progress bar.
        """
        workers = self.params.training.networks_at_once
        if workers == 1:
            return  # each is made when it is asked for
        cases = list(cases)
        jobs = (delayed(_computed)(self.params, self.folder, make, case) for case in cases)
        done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
        for _ in tqdm(done, total=len(cases), desc=name, disable=not self.progress):
            pass


def _check(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise CrystalNetError(
            f"Unknown {name} {value!r}. Choose one of {', '.join(allowed)}.", Code.BAD_ARGUMENT
        )


def _crystals(store: Store, scoring: Scoring, truths: Path | None) -> tuple[np.ndarray, dict | None]:
    """Rows to score and, with a folder of other truths, the file of each crystal that has one there."""
    rows = store.indices(scoring.split, scoring.most)
    if truths is None:
        return rows, None
    files = density_files(truths, [store.crystals[row] for row in rows])
    return np.array([row for row in rows if store.crystals[row].material_id in files]), files


def _computed(params: Params, folder: Path, make: Callable, case: tuple) -> None:
    """One case in a process of its own; its progress bar shows where there is a terminal."""
    make(Run(params, folder, progress=sys.stderr.isatty()), *case)
