"""On which face grains lie, from what a refinement leaves of each reflection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalnet.data.crystals import SYMPREC
from crystalnet.physics.texture import march_dollase

# our choice: cleavages and habits have low indices
FACES = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)),
    *((1, -1, 0), (1, 0, -1), (0, 1, -1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)),
)
STRENGTHS = np.geomspace(0.4, 2.5, 41)  # r, our choice: packed plates and needles; 1 is among them
HALF = 0.15  # degrees, our choice: counts so near are of a reflection
FLOOR = 0.01  # of the highest intensity, our choice: weaker ones are not weighed more


class Lying(NamedTuple):
    """A guess: face, r, and by which part what remains of the intensities would shrink."""

    face: tuple[int, int, int]
    march: float
    gain: float


def lying(structure: Structure, hkl: np.ndarray, calculated: np.ndarray, observed: np.ndarray) -> list[Lying]:
    """Faces by how near they bring calculated intensities to observed ones, the best first, each with its r;
    of faces that symmetry makes one, one.

    Args:
        structure: in the axes of hkl.
        hkl: (R, 3), one of each set of equivalents.
        calculated, observed: (R,) on any scale.

    >>> from pymatgen.core import Lattice
    >>> mica = Structure(Lattice.tetragonal(4, 9), ["Ti", "O", "O"], [[0] * 3, [0, 0, 0.2], [0, 0, 0.8]])
    >>> hkl = np.array([[0, 0, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1], [0, 0, 3], [2, 0, 1]])
    >>> inclined = np.array([1, 0, 16 / 97, 0, 8 / 89, 1, 4 / 85])
    >>> guess = lying(mica, hkl, np.ones(7), march_dollase(inclined, 0.7))[0]
    >>> guess.face, round(guess.march, 1), round(guess.gain, 1)
    ((0, 0, 1), 0.7, 1.0)
    """
    operations = SpacegroupAnalyzer(structure, SYMPREC).get_symmetry_operations()
    rotations = np.array([operation.rotation_matrix for operation in operations])
    metric = structure.lattice.reciprocal_lattice.metric_tensor
    equivalents = np.einsum("ri,oij->roj", hkl, rotations)
    lengths = np.einsum("roi,ij,roj->ro", equivalents, metric, equivalents)
    weight = 1 / (calculated + FLOOR * calculated.max())

    def left(factor: np.ndarray) -> float:
        expected = calculated * factor
        scale = (weight * observed * expected).sum() / max((weight * expected**2).sum(), 1e-30)
        return float((weight * (observed - scale * expected) ** 2).sum())

    before = max(left(np.ones(len(hkl))), 1e-30)
    guesses: dict[tuple[float, float], Lying] = {}
    for face in FACES:
        along = equivalents @ metric @ np.array(face)
        cosine2 = along**2 / (lengths * (np.array(face) @ metric @ np.array(face)))
        gains = [1 - np.sqrt(left(march_dollase(cosine2, r).mean(1)) / before) for r in STRENGTHS]
        best = int(np.argmax(gains))
        guess = Lying(face, float(STRENGTHS[best]), float(gains[best]))
        guesses.setdefault((round(guess.gain, 6), guess.march), guess)
    return sorted(guesses.values(), key=lambda guess: -guess.gain)


def shared_out(
    two_theta: np.ndarray, observed: np.ndarray, calculated: np.ndarray, places: Sequence[float]
) -> np.ndarray:
    """How many times what was calculated near each place was observed there, (R,).

    >>> x = np.linspace(10, 20, 1001)
    >>> peaks = np.exp(-(((x - 12) / 0.05) ** 2)) + np.exp(-(((x - 15) / 0.05) ** 2))
    >>> shared_out(x, peaks * np.where(x < 13, 2, 1), peaks, [12.0, 15.0]).round(2)
    array([2., 1.])
    """
    ends = np.searchsorted(two_theta, np.add.outer(np.asarray(places), (-HALF, HALF)))
    sums = [np.concatenate([[0.0], np.cumsum(curve)]) for curve in (observed, calculated)]
    seen, expected = ((one[ends[:, 1]] - one[ends[:, 0]]) for one in sums)
    return np.clip(seen, 0, None) / np.maximum(expected, 1e-12)
