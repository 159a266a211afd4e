"""Every test crystal under both protocols: one row a crystal.

>>> import tempfile
>>> from crystalnet.data.building import build_store
>>> from crystalnet.data.prototypes import prototype_crystals
>>> from crystalnet.scoring.baselines import MeanDensity
>>> train, test = np.split(np.array(prototype_crystals("cubic", 6)), [4])
>>> with tempfile.TemporaryDirectory() as folder:
...     splits = {"train": train, "test": test}
...     store = build_store(splits, f"{folder}/six.h5", n=14, workers=1, progress=False)
...     asked = store.compositions, store.indices("test")
...     table = evaluate(MeanDensity(store), store, *asked, progress=False)
>>> table.shape, int(summary(table)["crystals"])
((2, 10), 2)
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import nn
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal
from crystalnet.data.densities import cmed_from_file
from crystalnet.data.store import Store
from crystalnet.model.confidence import agreement
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.scoring.protocols import honest_score, paper_score

CPU = torch.device("cpu")


class Predictor(Protocol):
    """What can be scored: a network, or a baseline. `reads` is the view of a pattern that it takes."""

    reads: str

    def answer(self, pattern: ArrayLike, composition: ArrayLike, n: int = 50) -> torch.Tensor: ...

    def predict(
        self, pattern: ArrayLike, composition: ArrayLike, n_samples: int = 5, seed: int = 0, n: int = 50
    ) -> torch.Tensor: ...


def evaluate(
    predictor: Predictor,
    store: Store,
    compositions: np.ndarray,
    rows: np.ndarray,
    n_samples: int = 5,
    *,
    seed: int = 0,
    progress: bool = True,
    name: str = "evaluation",
    density_files: dict[str, Path] | None = None,
    mixed_precision: bool = False,
    patterns: str = "exact",
) -> pd.DataFrame:
    """Score a network or baseline on crystals `rows` of the store.

    Args:
        predictor: a network or a baseline.
        compositions: (N, 118), what it may know of each composition.
        density_files: by material_id, to take the truth from instead of the store.
        mixed_precision: the predictor multiplies in bfloat16; the scores are float32 in any case.
        patterns: what they are like, see `challenges.CHALLENGES`: a name there.

    Returns:
        A row a crystal: row, material_id, formula, space_group, paper_ssim, paper_psnr, honest_ssim,
        honest_psnr, honest_nmae, and the samples' agreement with the answer (see `model.confidence`).

    Raises:
        CrystalNetError: there are no such `patterns`, or the store was damaged since it was built.
    """
    store.check(rows)
    table, device = [], next(predictor.parameters()).device if isinstance(predictor, nn.Module) else CPU
    for row in tqdm(rows, desc=name, unit="crystal", disable=not progress):
        crystal = store.crystals[row]
        truth = (
            cmed_from_file(density_files[crystal.material_id], store.n) if density_files else store.cmed[row]
        )
        truth = torch.from_numpy(truth.astype(np.float32))
        if patterns == "exact":
            pattern = getattr(store, predictor.reads)[row]
        else:
            pattern = _spoilt(crystal, patterns, predictor.reads)
        composition = compositions[row]
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision):
            samples = predictor.predict(pattern, composition, n_samples, seed, store.n)
            answer = predictor.answer(pattern, composition, store.n)
        truth = truth.to(samples.device)
        operations = lattice_operations(crystal.atoms.lattice)
        table.append(
            {
                "row": int(row),
                "material_id": crystal.material_id,
                "formula": crystal.formula,
                "space_group": crystal.space_group,
                **paper_score(truth, samples),
                **honest_score(truth, answer, operations),
                "agreement": agreement(answer[::2, ::2, ::2], samples[:, ::2, ::2, ::2]),
            }
        )
    return pd.DataFrame(table)


@lru_cache(maxsize=4096)
def _spoilt(crystal: Crystal, patterns: str, reads: str) -> np.ndarray:
    """The view of a crystal under a challenge, kept for a second network: a peak search takes seconds."""
    from crystalnet.scoring.challenges import challenge_of, view  # seconds that exact patterns do without

    return view(crystal, challenge_of(patterns), reads)


def summary(table: pd.DataFrame) -> pd.Series:
    """Mean, standard deviation and tails of an evaluation, the paper's columns first."""
    numbers = {"crystals": len(table)}
    for protocol in ("paper", "honest"):
        similarity, ratio = table[f"{protocol}_ssim"], table[f"{protocol}_psnr"]
        numbers |= {
            f"{protocol}_ssim": similarity.mean(),
            f"{protocol}_ssim_std": similarity.std(ddof=0),
            f"{protocol}_psnr": ratio.mean(),
            f"{protocol}_psnr_std": ratio.std(ddof=0),
            f"{protocol}_ssim_median": similarity.median(),
            f"{protocol}_above_0.9": (similarity > 0.9).mean(),
            f"{protocol}_below_0.5": (similarity < 0.5).mean(),
        }
    return pd.Series(numbers)
