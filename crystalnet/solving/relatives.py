"""What else a crystal tells of structure types: itself without hydrogen, and with two like elements as one.

X-rays hardly see hydrogen, and CIFs of minerals often lack it: so a hydrate's other atoms make a type of
their own. And where two crystals differ by the order of like elements, CaAlB3O7 and SrAl4O7, the simpler
one's arrangement is that of two compounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from crystalnet.data.chemistry import unlikeness
from crystalnet.physics.atoms import Atoms

HYDROGEN = "H"
LIKE = 2.5  # unlikeness up to which two elements are counted as one, our choice: aluminium and boron


def bare(atoms: Atoms) -> Atoms | None:
    """A crystal without its hydrogen; None where it has none, or nothing else.

    >>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.9]])
    >>> bare(Atoms(4 * np.eye(3), places, np.array(["Li", "O", "H"]))).symbols.tolist()
    ['Li', 'O']
    """
    heavy = atoms.symbols != HYDROGEN
    if heavy.all() or not heavy.any():
        return None
    return atoms._replace(frac_coords=atoms.frac_coords[heavy], symbols=atoms.symbols[heavy])


def merged(atoms: Atoms) -> Iterator[Atoms]:
    """A crystal with the rarer of two like elements written as the other, for each such pair.

    >>> places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    >>> one = next(merged(Atoms(4 * np.eye(3), places, np.array(["Ag", "Na", "Na", "K"]))))
    >>> one.symbols.tolist()
    ['Ag', 'Na', 'Na', 'Na']
    """
    symbols, counts = np.unique(atoms.symbols, return_counts=True)
    rising = symbols[np.argsort(counts, kind="stable")].tolist()
    if len(rising) < 3:
        return
    for rarer, other in combinations(rising, 2):
        if unlikeness(rarer, other) <= LIKE:
            yield atoms._replace(symbols=np.where(atoms.symbols == rarer, other, atoms.symbols))
