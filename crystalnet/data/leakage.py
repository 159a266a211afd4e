"""How near two crystals stand: the relations that let a test crystal be answered from its training set.

>>> leakage({"train": ["SrTiO3", "NaCl"], "test": ["BaTiO3", "MgO"]})
{'test': 2, 'same_formula': 0, 'swap_neighbour': 1, 'same_element_set': 0}
>>> swap_neighbours({"train": ["SrTiO3", "CaTiO3"], "test": ["BaTiO3", "MgO"]})
array([2, 0])
>>> sorted(reduced_formula("Na2Cl2"))
[('Cl', 1), ('Na', 1)]
>>> sorted((sorted(rest), amount) for rest, amount in swaps(reduced_formula("Fe2O3")))
[([('Fe', 2)], 3), ([('O', 3)], 2)]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase

import numpy as np
from pymatgen.core import Composition

from crystalnet.data.crystals import SYMPREC, Crystal
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms

Formula = frozenset[tuple[str, int]]
"""Elements with their amounts in the reduced formula: {('Ti', 1), ('O', 2)}."""

# International Tables A: space groups that are mirror images, the second under the name of the first
ENANTIOMORPHS = {
    78: 76, 95: 91, 96: 92, 145: 144, 153: 151, 154: 152, 170: 169, 172: 171, 179: 178, 181: 180, 213: 212,
}  # fmt: skip
CHUNK = 2**22  # numbers held at once, our choice: 32 MiB


def leakage(splits: Mapping[str, Sequence[Crystal | str]]) -> dict[str, int]:
    """How many test crystals find a relative in the training set.

    Args:
        splits: 'train' and 'test', of crystals, or of bare formulas where nothing else is known.

    Returns:
        'test': number of test crystals, and of those that find in training
        'same_formula_and_space_group': a duplicate (of crystals alone);
        'same_formula': any polymorph;
        'swap_neighbour': one whose formula differs in one element alone, as SrTiO3 and BaTiO3;
        'same_element_set': the same elements in any amounts;
        'same_structure_type': see `structure_type` (of crystals alone).

    Raises:
        CrystalNetError: a formula that is none.
    """
    train, test = splits["train"], splits["test"]

    def shared(key: Callable) -> int:
        seen = {key(crystal) for crystal in train}
        return sum(key(crystal) in seen for crystal in test)

    bare = any(isinstance(crystal, str) for crystal in [*train, *test])
    counts = {"test": len(test)}
    if not bare:
        counts["same_formula_and_space_group"] = shared(lambda c: (reduced_formula(c), c.space_group))
    counts["same_formula"] = shared(reduced_formula)
    counts["swap_neighbour"] = int((swap_neighbours(splits) > 0).sum())
    counts["same_element_set"] = shared(lambda c: frozenset(element for element, _ in reduced_formula(c)))
    if not bare:
        counts["same_structure_type"] = shared(structure_type)
    return counts


def swap_neighbours(splits: Mapping[str, Sequence[Crystal | str]]) -> np.ndarray:
    """Number of swap neighbours that each test crystal has in training, (n_test,) int.

    Swap neighbours share the anonymised formula and all elements but one, in the same amounts. So all
    elements are swap neighbours of each other.
    """
    trained = Counter(map(reduced_formula, splits["train"]))
    at_place: Counter[tuple[Formula, int]] = Counter()
    for formula, n in trained.items():
        at_place.update(dict.fromkeys(swaps(formula), n))
    tested = map(reduced_formula, splits["test"])
    counts = [sum(at_place[place] - trained[formula] for place in swaps(formula)) for formula in tested]
    return np.array(counts, dtype=int)


def swaps(formula: Formula) -> list[tuple[Formula, int]]:
    """Each place for another element: the rest of the formula, and the amount that is missing.

    Two formulas with a place in common are equal or swap neighbours; neighbours have exactly one in common.
    """
    return [(formula - {(element, amount)}, amount) for element, amount in formula]


def reduced_formula(crystal: Crystal | str) -> Formula:
    """The reduced formula of a crystal, or of a formula such as 'Li3Fe2(PO4)3', to compare with others.

    `Crystal.formula` tells the same for reading, twenty times slower.

    Raises:
        CrystalNetError: a formula that is none, or not of whole numbers.
    """
    if isinstance(crystal, str):
        try:
            amounts = Composition(crystal).get_el_amt_dict()
        except ValueError:
            amounts = {}
        if not amounts or any(amount % 1 for amount in amounts.values()):
            raise CrystalNetError(
                f"{crystal!r} is no formula of whole numbers. Correct it, as in 'TiO2'.", Code.BAD_FORMULA
            )
    else:
        amounts = Counter(crystal.atoms.symbols.tolist())
    divisor = math.gcd(*map(int, amounts.values()))
    return frozenset((element, int(amount) // divisor) for element, amount in amounts.items())


def structure_type(crystal: Crystal) -> tuple[str, int, int]:
    """Anonymised formula, space group and atoms in the primitive cell: ('ABC3', 221, 5) for SrTiO3.

    The type is computed, whatever the source calls it: finer labels tell apart what a network does not, so
    a type held out under one label would train under another. Mirror images (quartz in 152 and 154) have
    one pattern and count as one type. The type is coarse: it may hold several arrangements.

    >>> from crystalnet.data.prototypes import library_crystals
    >>> perovskite = next(crystal for crystal in library_crystals() if crystal.formula == "CaTiO3")
    >>> structure_type(perovskite)
    ('ABC3', 62, 20)
    """
    amounts = sorted(amount for _, amount in reduced_formula(crystal))
    anonymised = "".join(
        letter + (str(n) if n > 1 else "") for letter, n in zip(ascii_uppercase, amounts, strict=False)
    )
    space_group = ENANTIOMORPHS.get(crystal.space_group, crystal.space_group)
    return anonymised, space_group, len(crystal.atoms.symbols) // _n_translations(crystal.atoms)


def _n_translations(atoms: Atoms) -> int:
    """Lattice translations within the given cell: 1 if it is primitive, as densities need not come on it."""
    symbols, counts = np.unique(atoms.symbols, return_counts=True)
    if np.gcd.reduce(counts) == 1:
        return 1  # a translation permutes the atoms of each element without a fixed point
    fewest = atoms.frac_coords[atoms.symbols == symbols[counts.argmin()]]
    other_element = atoms.symbols[:, None] != atoms.symbols
    n = 0
    for shift in fewest - fewest[0]:
        apart = atoms.frac_coords[:, None] + shift - atoms.frac_coords
        apart = np.linalg.norm((apart - np.round(apart)) @ atoms.lattice, axis=-1)
        apart[other_element] = np.inf
        n += apart.min(axis=1).max() < SYMPREC
    return int(n)


def nearest_by_pattern(
    patterns_train: np.ndarray, patterns_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The training pattern most like each test pattern, by the cosine between them.

    The training patterns are read in pieces, so that they may be a file's memory map of any length.

    Args:
        patterns_train: (N, n_bins), N at least 1.
        patterns_test: (M, n_bins).

    Returns:
        Row of the nearest (M,) int, and its cosine (M,): 1 for equal patterns but for a factor, 0 where no
        peak is shared, or there is none.

    Raises:
        CrystalNetError: no training patterns, or patterns of different lengths.

    >>> nearest_by_pattern(np.array([[1.0, 0, 0], [0, 1.0, 1.0]]), np.array([[0, 1.0, 0]]))
    (array([1]), array([0.70710678]))
    """
    if len(patterns_train) == 0 or patterns_train.shape[1] != patterns_test.shape[1]:
        raise CrystalNetError(
            f"Patterns {patterns_train.shape} and {patterns_test.shape} can't be compared. Give at least one"
            " to compare with, and as many bins on both sides.",
            Code.BAD_ARGUMENT,
        )
    test = _unit(patterns_test)
    row, cosine = np.zeros(len(test), dtype=int), np.full(len(test), -np.inf)
    step = max(1, CHUNK // max(len(test), test.shape[1]))
    for start in range(0, len(patterns_train), step):
        likeness = test @ _unit(patterns_train[start : start + step]).T  # (M, step)
        best = likeness.argmax(axis=1)
        found = np.take_along_axis(likeness, best[:, None], axis=1)[:, 0]
        better = found > cosine
        row[better], cosine[better] = start + best[better], found[better]
    return row, cosine


def _unit(patterns: np.ndarray) -> np.ndarray:
    patterns = np.asarray(patterns, dtype=float)
    return patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-12)
