"""A run: settings to networks and scores on disk, each made once. Interrupted work goes on where it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.data.densities import density_files
from crystalnet.errors import Code, CrystalNetError
from crystalnet.hardware import device
from crystalnet.runs.params import Params
from crystalnet.runs.provenance import SCIENCE, code_digest, fingerprint, write_text
from crystalnet.runs.results import read_table
from crystalnet.runs.trainings import Trained, Trainings
from crystalnet.scoring.baselines import MeanDensity, NearestNeighbour
from crystalnet.scoring.evaluation import evaluate, summary
from crystalnet.settings import MIXED

PREDICTORS = ("CrystalNet", "nearest neighbour", "mean density")


class Run(Trainings):
    """Everything that the chapters compute, on demand; see `Results` for its arguments."""

    def evaluation(self, system: str, predictor: str = "CrystalNet", truth: str = "data set") -> pd.DataFrame:
        """Table 1, a row a test crystal, both protocols (see `scoring.evaluation.evaluate`).

        `truth='dft'` scores those crystals that have a density in `evaluation.densities` against it.
        """
        store, settings = self.store(system), self.params.evaluation
        if predictor not in PREDICTORS:
            raise CrystalNetError(
                f"Unknown predictor {predictor!r}. Choose one of {', '.join(PREDICTORS)}.", Code.BAD_ARGUMENT
            )
        return self._scores(
            f"evaluation-{predictor.replace(' ', '-')}" + ("-dft" if truth == "dft" else ""),
            system,
            self.trained(system) if predictor == "CrystalNet" else None,
            predictor,
            store.compositions,
            settings.n_samples,
            settings.max_test,
            dft=truth == "dft",
        )

    def validation(self, system: str, predictor: str = PREDICTORS[0]) -> pd.DataFrame:
        """The scores of the validation crystals, as those of the test: what the network says of itself is
        calibrated with them."""
        trained, settings = self.trained(system), self.params
        return self._scores(
            "validation",
            system,
            trained,
            predictor,
            self.store(system).compositions,
            settings.evaluation.n_samples,
            settings.training.max_val,
            split="val",
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

    def variant(self, system: str, name: str) -> pd.DataFrame:
        """The baseline of the ablations with the changes of one of `ablations.variants`."""
        return self.varied(name).ablation(system, "baseline")

    def retrieval(self, system: str, name: str) -> pd.DataFrame:
        """The nearest neighbour on the test crystals of a variant with data of its own."""
        run = self.varied(name)
        settings = run.params.ablations
        return run._scores(
            "ablation-retrieval",
            system,
            None,
            "nearest neighbour",
            run.store(system).compositions,
            settings.n_samples,
            settings.max_test,
        )

    def spoilt(self, system: str, patterns: str, network: str = "trained") -> pd.DataFrame:
        """The scores where test patterns are as a challenge has them; `network='begun'`: of the one that
        training begins with."""
        settings = self.params.ablations
        return self._scores(
            f"spoilt-{network}",
            system,
            self.trained(system) if network == "trained" else self.begun(),
            patterns,
            self.store(system).compositions,
            settings.n_samples,
            settings.max_test,
            patterns=patterns,
        )

    def _scores(
        self,
        kind,
        system,
        trained,
        name,
        compositions,
        n_samples,
        most,
        dft=False,
        split="test",
        patterns=None,
    ) -> pd.DataFrame:
        store, settings = self.store(system), self.params.evaluation
        patterns = patterns or settings.patterns
        key = {
            "data_hash": store.digest,
            "predictor": name,
            "training": trained.manifest if trained else None,
            "n_samples": n_samples,
            "most": most,
            "split": split,
            "precision": settings.precision,
            "patterns": patterns,
            "seed": settings.seed,
            "code": code_digest(*SCIENCE),
        }
        rows, files = store.indices(split, most), None
        if dft:
            if not settings.densities:
                raise CrystalNetError(
                    "evaluation.densities names no folder of DFT densities. Set it.", Code.BAD_SETTING
                )
            truths = self.path("evaluation.densities", settings.densities)
            key["densities"] = fingerprint(truths)
        folder = self.place(kind, system, key)
        path = folder / "scores.csv"
        with self.making(folder) as missing:
            if missing:
                started = time.perf_counter()
                predictor = (
                    trained.model.to(device(self.params.training.accelerator))
                    if trained
                    else {"nearest neighbour": NearestNeighbour, "mean density": MeanDensity}[name](store)
                )
                if dft:
                    crystals = [store.crystals[row] for row in rows]
                    files = density_files(truths, crystals)
                    rows = [
                        r for r, crystal in zip(rows, crystals, strict=True) if crystal.material_id in files
                    ]
                with self.share_of_cores():
                    table = evaluate(
                        predictor,
                        store,
                        compositions,
                        np.array(rows),
                        n_samples,
                        settings.seed,
                        self.progress,
                        f"{system} {name}",
                        files,
                        settings.precision == MIXED,
                        patterns,
                    )
                write_text(path, table.to_csv(index=False))
                self.finish(folder, started, **key)
        table = read_table(path)
        table.attrs["manifest"] = self.manifest(folder)
        return table

    def manifest_of(self, method: str, *case) -> dict:
        """What made the result of `method(*case)`, which is one of trained, evaluation, ablation, variant,
        retrieval, spoilt."""
        result = getattr(self, method)(*case)
        return result.manifest if isinstance(result, Trained) else result.attrs["manifest"]

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
        cases = list(cases)
        jobs = (delayed(_computed)(self.params, self.folder, method, case) for case in cases)
        done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
        for _ in tqdm(done, total=len(cases), desc=method, disable=not self.progress):
            pass


def _computed(params: Params, folder: Path, method: str, case: tuple) -> None:
    """One case in a process of its own; its progress bar shows where there is a terminal."""
    getattr(Run(params, folder, progress=sys.stderr.isatty()), method)(*case)
