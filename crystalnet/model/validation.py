"""Which epoch is best: the validation crystals on a coarse grid (paper, 'Training Process')."""

from __future__ import annotations

import numpy as np
import torch

from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.similarity import score_rotations
from crystalnet.settings import TrainingParams


def best_similarities(
    model: DensityNetwork,
    store: Store,
    compositions: np.ndarray,
    settings: TrainingParams,
    share: slice = slice(None),
) -> torch.Tensor:
    """Each validation crystal's best SSIM of samples and rotations, chosen by the truth as in the paper.

    Args:
        compositions: (N, 118), what the network may know of each composition.
        share: which of the validation crystals; the others are another process's.

    Returns:
        (M,) float64 on the CPU.
    """
    # every stride-th voxel, with the largest stride that the grid is a multiple of
    fits = (d for d in range(1, store.n + 1) if store.n % d == 0 and store.n // d >= settings.val_grid)
    stride = max(fits, default=1)
    best, patterns = [], getattr(store, model.reads)
    for row in store.indices("val", settings.max_val)[share]:
        samples = model.predict(
            patterns[row], compositions[row], settings.val_samples, settings.seed, store.n // stride
        )
        truth = torch.from_numpy(store.cmed[row, ::stride, ::stride, ::stride].astype(np.float32))
        best.append(float(score_rotations(truth.to(samples.device), samples.float())[0].max()))
    return torch.tensor(best, dtype=torch.float64)


def check_validation_crystals(store: Store) -> None:
    if not len(store.indices("val", 1)):
        raise CrystalNetError(
            "The data set has no validation crystals. Choose a split that leaves some.", Code.NOTHING_LEFT
        )
