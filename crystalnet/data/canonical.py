"""One description for every crystal: the axes, origin and handedness that a powder pattern cannot tell.

Equal crystals and mirror images get equal coordinates, and analogous crystals analogous ones: cubic
perovskites lie alike, whichever of its atoms a source puts at the origin. The rule, step by step:

1. The primitive cell of the space group's standard setting (unique axis b, cell choice 1, hexagonal axes,
   origin choice 2), its symmetry made exact. Of an enantiomorphic pair, such as P4_1 and P4_3, always the
   group of the lower number: crystals of the other are mirrored.
2. The descriptions still open are the maps x -> W x + t that turn the list of the group's operations into
   itself: the group's normaliser, with its improper operations (International Tables A, chapter 3.5). It is
   the Euclidean one, and up to the orthorhombic system the affine one, which swaps axes of unequal length.
3. Of these, the conventional cells of the shortest a, then b, then c; then with the angles all acute or none;
   then of the widest alpha, beta, gamma. So P222 has a <= b <= c, and triclinic cells satisfy Minkowski's
   conditions of reduction, which Niggli's cell does too.
4. Where the group leaves the origin free along a direction, an atom of the first element has coordinate 0.
5. Of what remains, the smallest list of atoms, coordinates compared in turn. Elements are ordered by their
   number of atoms in the formula, then electronegativity, then atomic number, all rising: strontium sits at
   the origin of SrTiO3, sodium at that of NaCl.

Values are compared within tolerances, so that noise decides only on a border: between two space groups, two
reduced cells or two orders of the atoms. Some border has to remain, for a crystal can be deformed step by
step into its own other description. The order of elements is a rule of thumb: in perovskites of lead or
bismuth it puts the B atom first, which is the less electronegative one there.
"""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache

import numpy as np
from pymatgen.core import Element

from crystalnet.data.crystals import standard_primitive, symmetry_of
from crystalnet.data.normalisers import Normaliser, normaliser_of
from crystalnet.physics.atoms import Atoms

# Fractional coordinates and, in Å and cosines, cells that differ by less are equal. Our choice: above noise,
# and no difference of two decimals of few digits, lest published values lie on the border.
TOLERANCE = 2.0**-13
METRIC_TOLERANCE = 2.0**-8


def canonical(atoms: Atoms, name: str = "the crystal") -> Atoms:
    """The crystal in its canonical primitive cell, atoms in canonical order, symmetry exact.

    The conventional cell's a lies along x and its b in the xy plane. Coordinates are in [0, 1), but
    a value that equals 1 within TOLERANCE is given less 1, so near 0.

    Args:
        atoms: any cell of the crystal, primitive or not, of either handedness.
        name: what error messages call it.

    Raises:
        CrystalNetError: the symmetry search fails.

    >>> cscl = Atoms(4.12 * np.eye(3), np.array([[0.5, 0.5, 0.5], [0, 0, 0]]), np.array(["Cs", "Cl"]))
    >>> moved = cscl._replace(frac_coords=cscl.frac_coords + 0.3)
    >>> np.allclose(canonical(cscl).frac_coords, canonical(moved).frac_coords)
    True
    """
    symmetry = symmetry_of(atoms, name)
    normaliser = normaliser_of(symmetry.hall_number)
    if not normaliser.mirrors:
        mirrored = symmetry_of(atoms._replace(frac_coords=-atoms.frac_coords), name)
        symmetry = min(symmetry, mirrored, key=lambda either: either.number)
        normaliser = normaliser_of(symmetry.hall_number)
    lattice, frac_coords, symbols = standard_primitive(symmetry)
    ranks = _ranks(symbols)

    metrics = normaliser.axes @ (lattice @ lattice.T) @ normaliser.axes.transpose(0, 2, 1)
    best = _best_metrics(metrics)
    descriptions = _descriptions(normaliser, best, frac_coords, ranks)
    chosen, order = _smallest(descriptions, ranks)
    conventional = np.linalg.cholesky(metrics[best[chosen // (len(descriptions) // len(best))]])
    return Atoms(np.linalg.solve(normaliser.cell, conventional), descriptions[chosen, order], symbols[order])


def _ranks(symbols: np.ndarray) -> np.ndarray:
    """The place (A,) of each atom's element: few atoms first, then electropositive, then light."""
    counts = Counter(symbols.tolist())
    order = sorted(counts, key=lambda symbol: (counts[symbol], *_electronegativity(symbol)))
    return np.array([order.index(symbol) for symbol in symbols.tolist()])


@cache
def _electronegativity(symbol: str) -> tuple[float, int]:
    """Pauling's, and the atomic number to decide between equals; noble gases without a value come last."""
    element = Element(symbol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of the missing value
        value = element.X
    return (value if value == value else np.inf), element.Z


def _best_metrics(metrics: np.ndarray) -> np.ndarray:
    """Indices of the conventional cells (m, 3, 3) that rule 3 prefers, all within its tolerance."""
    lengths = np.sqrt(np.diagonal(metrics, axis1=1, axis2=2))
    cosines = np.stack(
        [metrics[:, i, j] / (lengths[:, i] * lengths[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    )
    n_acute = (cosines > METRIC_TOLERANCE).sum(0)
    best = np.arange(len(metrics))
    for values in (*lengths.T, n_acute % 3 > 0, *cosines):
        best = best[values[best] <= values[best].min() + METRIC_TOLERANCE]
    return best


def _descriptions(normaliser: Normaliser, best: np.ndarray, frac_coords: np.ndarray, ranks: np.ndarray):
    """The atoms in all descriptions (C, A, 3) with the given linear parts, one part after the other."""
    turned = frac_coords @ normaliser.linear[best].transpose(0, 2, 1)
    moved = turned[:, None] + normaliser.shifts[best][:, :, None]
    if normaliser.free.any():
        along = moved[:, :, ranks == 0] @ normaliser.free.T
        moved = moved[:, :, None] - along[:, :, :, None]
    moved = moved.reshape(-1, *frac_coords.shape)
    return moved - np.floor(moved + TOLERANCE)


def _smallest(descriptions: np.ndarray, ranks: np.ndarray) -> tuple[int, np.ndarray]:
    """Index of the description (C, A, 3) whose sorted list of atoms is smallest, and the atoms' order in it.

    Coordinates become whole numbers first: a new one begins where the sorted values leave a gap.
    """
    values = descriptions.ravel()
    rising = np.argsort(values)
    steps = np.empty(len(values), np.int64)
    steps[rising] = np.cumsum(np.diff(values[rising], prepend=-1) > TOLERANCE)
    n_steps = steps.max() + 1
    codes = ranks * n_steps**3 + steps.reshape(descriptions.shape) @ n_steps ** np.array([2, 1, 0])
    chosen = np.lexsort(np.sort(codes, axis=1).T[::-1])[0]
    return chosen, np.argsort(codes[chosen], kind="stable")
