"""Space groups that a lattice and the absent peaks leave, and maps that obey one.

>>> from crystalnet.physics.atoms import Atoms
>>> cell = checked_lattice(3.35 * np.eye(3))
>>> observed = Observed.of_structure(Atoms(cell, np.zeros((1, 3)), np.array(["Po"])))
>>> groups = space_groups(cell, observed)
>>> groups[0].number, len(groups[0].rotations)
(221, 48)
>>> nearest_peak(observed, observed.s[:2])[1]
array([ True,  True])
>>> maps = torch.rand(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
>>> torch.allclose(symmetrised(maps, groups[0]), symmetrised(maps, groups[0]).transpose(1, 2))
True
"""

from __future__ import annotations

from typing import NamedTuple

import moyopy
import numpy as np
import torch
from numpy.typing import ArrayLike

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed

SAME = 1e-4  # 1/Å of s, our choice: nearer reflections are one peak of a calculated pattern
ABSENT = 1e-3  # of the power, our choice: so much may a space group fail to explain


class Operations(NamedTuple):
    """A space group's number and its operations x -> W x + t: W (m, 3, 3), t (m, 3), primitive cell."""

    number: int
    rotations: np.ndarray
    translations: np.ndarray


IDENTITY = Operations(1, np.eye(3)[None], np.zeros((1, 3)))


def space_groups(lattice: np.ndarray, observed: Observed) -> list[Operations]:
    """Groups of the lattice's family whose absences agree with the peaks, by falling number.

    In their standard settings (moyo's), in which `data.canonical` describes crystals and the networks answer.

    Args:
        lattice: (3, 3) rows, Å, of the primitive cell in that description.
        observed: peaks; those up to s = 0.5 / Å are looked at.
    """
    lattice = checked_lattice(lattice)
    metric = lattice @ lattice.T
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    found = []
    for number in range(230, 0, -1):
        operations = moyopy.operations_from_number(number, primitive=True)
        w, t = np.array(operations.rotations), np.array(operations.translations)
        if (np.abs(w.mT @ metric @ w - metric) <= 1e-3 * scale).all():
            found.append(Operations(number, w, t))
    family = max(low for low in (1, 3, 16, 75, 143, 195) if low <= found[0].number)
    n = np.floor(np.linalg.norm(lattice, axis=1)).astype(int)  # up to s = 0.5 / Å, where peaks are apart
    hkl = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in n], indexing="ij"), -1).reshape(-1, 3)
    s = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1) / 2
    peak, near = nearest_peak(observed, s)
    hkl, peak = hkl[near & (s > 0) & (s < 0.5)], peak[near & (s > 0) & (s < 0.5)]
    power = observed.intensity[np.unique(peak)].sum()

    def explains(group: Operations) -> bool:
        turned, phase = hkl @ group.rotations, hkl @ group.translations.T
        fixed = (turned == hkl).all(2).T
        absent = (fixed & (np.abs(phase - np.round(phase)) > 1e-3)).any(1)
        return observed.intensity[np.unique(peak[~absent])].sum() >= (1 - ABSENT) * power

    return [group for group in found if group.number >= family and explains(group)]


def nearest_peak(observed: Observed, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of the nearest peak, and whether it is near enough to be the same."""
    above = np.searchsorted(observed.s, s).clip(1, len(observed.s) - 1)
    peak = np.where(s - observed.s[above - 1] < observed.s[above] - s, above - 1, above)
    return peak, np.abs(observed.s[peak] - s) <= (SAME if observed.exact else observed.width)


def symmetrised(maps: torch.Tensor, group: Operations) -> torch.Tensor:
    """The mean of maps (B, n1, n2, n3) over the operations, which must map grid points onto such."""
    shape = np.array(maps.shape[1:])
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    total, flat = torch.zeros_like(maps).flatten(1), maps.flatten(1)
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        # W x + t in voxels; W mixes only axes with as many
        to = (points @ rotation.T + np.round(translation * shape).astype(int)) % shape
        total += flat.index_select(1, torch.from_numpy(np.ravel_multi_index(to.T, shape)))
    return (total / len(group.rotations)).view(maps.shape)


def checked_lattice(lattice: ArrayLike) -> np.ndarray:
    """As float64. Raises CrystalNetError for another shape, a value that is not finite, or no volume."""
    lattice = np.asarray(lattice, float)
    if lattice.shape != (3, 3) or not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1:
        raise CrystalNetError(
            "The lattice must be (3, 3) finite rows in Å that span a cell. Correct it.", Code.BAD_ARGUMENT
        )
    return lattice
