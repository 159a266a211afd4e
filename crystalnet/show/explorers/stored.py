"""Crystals of a data set to choose from, on a grid coarse enough to redraw; and what is said of answers.

>>> display_stride(50), levels(np.arange(100.0), 10).round(2).tolist()
(2, [89.1, 97.02])
>>> expectation(0.95), expectation(0.3), expectation(None)
('expected SSIM 0.95', 'no confident answer, expected SSIM 0.30', '')
>>> from crystalnet.data.prototypes import library_crystals
>>> named(next(one for one in library_crystals() if one.formula == "NaCl"))
'NaCl, space group 225 (...)'
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.confidence import CONFIDENT
from crystalnet.show.densities import VOLUME_SHARES

VOXELS = 25  # about so many an axis: a redraw then follows the hand (our choice)
SHARE = 100 * VOLUME_SHARES[0]  # per cent of the cell within the outer surface, as in still figures


class StoredCrystals:
    """Some crystals of a store, by material_id.

    Attributes:
        store: the data set.
        rows: row of the store by material_id.
        n: voxels an axis of `truth`.

    Raises:
        CrystalNetError: no crystals to choose from.
    """

    def __init__(self, store: Store, rows: Sequence[int] | None = None):
        rows = store.indices("test") if rows is None else np.asarray(rows)
        if not len(rows):
            raise CrystalNetError(
                "There is no crystal to explore. Choose rows of the store.", Code.BAD_ARGUMENT
            )
        store.check(rows)
        self.store = store
        self.rows = {store.crystals[row].material_id: int(row) for row in rows}
        self._stride = display_stride(store.n)
        self.n = store.n // self._stride

    @property
    def options(self) -> list[tuple[str, str]]:
        """What a menu shows, and the material_id."""
        return [(named(self.crystal(material_id)), material_id) for material_id in self.rows]

    def crystal(self, material_id: str) -> Crystal:
        return self.store.crystals[self.rows[material_id]]

    def truth(self, material_id: str) -> np.ndarray:
        """(n, n, n) float32, e/Å^3."""
        step = slice(None, None, self._stride)
        return self.store.cmed[self.rows[material_id], step, step, step].astype(np.float32)


def display_stride(n: int) -> int:
    """The divisor of n that leaves about VOXELS of n voxels: truth and prediction then share their points."""
    return min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: abs(n / d - VOXELS))


def named(crystal: Crystal) -> str:
    """A crystal in a menu."""
    return f"{crystal.formula}, space group {crystal.space_group} ({crystal.material_id})"


def levels(cmed: np.ndarray, share: float) -> np.ndarray:
    """Densities (2,), rising: the outer surface encloses `share` per cent of the cell, the inner a fifth of
    that, as in still figures."""
    shares = share / 100 * np.array(VOLUME_SHARES) / VOLUME_SHARES[0]
    return np.quantile(cmed, 1 - shares)


def expectation(expected: float | None) -> str:
    """What a calibrated network says of its answer; nothing where it was not calibrated."""
    if expected is None:
        return ""
    verdict = "no confident answer, " if expected < CONFIDENT else ""
    return f"{verdict}expected SSIM {expected:.2f}"
