"""What a network must beat: the mean density, and the nearest crystal it was trained on.

Both answer like the network: `predict` gives guesses, `answer` the one deployable density.

>>> import tempfile
>>> from crystalnet.data.building import build_store
>>> from crystalnet.data.prototypes import prototype_crystals
>>> with tempfile.TemporaryDirectory() as folder:
...     splits = {"train": prototype_crystals("cubic", 3)}
...     store = build_store(splits, f"{folder}/three.h5", n=14, workers=1, progress=False)
...     nearest, mean = NearestNeighbour(store), MeanDensity(store)
>>> asked = store.patterns[1], store.compositions[1]
>>> int(nearest.nearest(*asked, n_neighbours=2)[0]), nearest.predict(*asked, n_samples=2).shape
(1, torch.Size([2, 14, 14, 14]))
>>> torch.allclose(mean.answer(*asked), torch.tensor(store.cmed).float().mean(0), atol=1e-3)
True
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from crystalnet.data.store import Store


class MeanDensity:
    """Every crystal looks like the average training crystal."""

    reads = "patterns"

    def __init__(self, store: Store):
        rows = store.indices("train")
        store.check(rows)
        total = np.zeros(store.cmed.shape[1:])
        for row in rows:  # one at a time: the data set may be larger than memory
            total += store.cmed[row]
        self.mean = torch.from_numpy((total / len(rows)).astype(np.float32))

    def answer(self, pattern: ArrayLike, composition: ArrayLike, n: int = 50) -> torch.Tensor:
        return self.mean

    def predict(
        self, pattern: ArrayLike, composition: ArrayLike, n_samples: int = 5, seed: int = 0, n: int = 50
    ) -> torch.Tensor:
        return self.mean[None]


class NearestNeighbour:
    """The densities of the training crystals whose pattern and composition are most alike.

    Likeness is the cosine of the square roots of the patterns (weak peaks count) plus the cosine of the
    compositions.
    """

    reads = "patterns"

    def __init__(self, store: Store):
        self.store = store
        self.rows = store.indices("train")
        store.check(self.rows)
        self.patterns = _unit(np.sqrt(store.patterns[self.rows]))
        self.compositions = _unit(store.compositions[self.rows])

    def nearest(self, pattern: ArrayLike, composition: ArrayLike, n_neighbours: int) -> np.ndarray:
        """Rows of the store, most alike first."""
        likeness = self.patterns @ _unit(np.sqrt(np.asarray(pattern)))
        likeness = likeness + self.compositions @ _unit(np.asarray(composition))
        return self.rows[np.argsort(-likeness, kind="stable")[:n_neighbours]]

    def answer(self, pattern: ArrayLike, composition: ArrayLike, n: int = 50) -> torch.Tensor:
        return self.predict(pattern, composition, 1)[0]

    def predict(
        self, pattern: ArrayLike, composition: ArrayLike, n_samples: int = 5, seed: int = 0, n: int = 50
    ) -> torch.Tensor:
        rows = self.nearest(pattern, composition, n_samples)
        return torch.from_numpy(self.store.cmed[rows].astype(np.float32))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
