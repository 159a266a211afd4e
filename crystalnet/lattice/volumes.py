r"""The volume that atoms take, by element: it changes with the company they are in.

    V = \sum_e n_e v_e(X),    v_e(X) = a_e + b_e (X - 2) + c_e (X - 2)^2

X is the mean electronegativity (Pauling's) of all the atoms: sodium takes half as much in NaF as in the
metal. volumes.json holds a, b, c; `python book/volumes.py` fits them to training crystals.

>>> round(usual_volume({"Na": 4, "Cl": 4}))  # Å^3; halite has 179
207
>>> fills({"Na": 4, "Cl": 4}, 179.4), fills({"Na": 4, "Cl": 4}, 50.0), fills({None: 8}, 179.4)
(True, False, True)
>>> from crystalnet.data.prototypes import prototype_crystals
>>> fitted(prototype_crystals("cubic", 5)).shape
(118, 3)
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from pymatgen.core import Element

from crystalnet.data.crystals import Crystal
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS

FILE = Path(__file__).with_name("volumes.json")
FILL = 0.55, 2.2  # of the volume that its elements should take, our choice: lithium in itself takes twice
UNNAMED_VOLUME = 4.0, 100.0  # Å^3 that an atom of any element may take, our choice
USUAL_VOLUME = 15.0  # Å^3 an atom, which the fit leans to; our choice
SMALLEST_VOLUME = 5.0  # Å^3 an atom that a prediction may fall to, our choice: diamond has 5.7, iron 11.8
REFERENCE = 2.0  # electronegativity about which volumes are expanded; our choice
UNKNOWN = 1.6  # electronegativity where Pauling's scale has none, our choice: a usual one


def usual_volume(amounts: Mapping[str, float]) -> float:
    """The volume, Å^3, that so many atoms should take."""
    n_atoms = sum(amounts.values())
    return n_atoms * max(float((_parts(amounts) * _coefficients()).sum()), SMALLEST_VOLUME)


def fills(amounts: Mapping[str | None, float], volume: float) -> bool:
    """Whether so many atoms may take a volume, Å^3; those that nobody named are under None."""
    least, most = (n * amounts.get(None, 0) for n in UNNAMED_VOLUME)
    if known := {element: n for element, n in amounts.items() if element is not None}:
        usual = usual_volume(known)
        least, most = least + FILL[0] * usual, most + FILL[1] * usual
    return least < volume < most


def fitted(crystals: Iterable[Crystal]) -> np.ndarray:
    """a, b, c of each element, (118, 3) in Å^3, that add up best to the crystals' cells: ridge regression of
    V's relative error. Where an element is rare they lean to USUAL_VOLUME, whatever the company."""
    right = np.zeros((len(SYMBOLS), 3))
    right[:, 0] = USUAL_VOLUME
    right, normal = right.ravel(), np.eye(right.size)
    for crystal in crystals:
        symbols = crystal.atoms.symbols.tolist()
        volume = abs(np.linalg.det(crystal.atoms.lattice)) / len(symbols)
        parts = _parts(Counter(symbols)).ravel() * USUAL_VOLUME / volume
        at = np.flatnonzero(parts)
        normal[np.ix_(at, at)] += np.outer(parts[at], parts[at])
        right += parts * USUAL_VOLUME
    return np.linalg.solve(normal, right).reshape(-1, 3)


def _parts(amounts: Mapping[str, float]) -> np.ndarray:
    """Each element's part of the atoms, times 1, X - 2 and its square, (118, 3)."""
    part = np.zeros(len(SYMBOLS))
    for element, n in amounts.items():
        part[ATOMIC_NUMBERS[element] - 1] += n
    part /= part.sum()
    company = part @ _electronegativities() - REFERENCE
    return part[:, None] * company ** np.arange(3)


@cache
def _electronegativities() -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of missing values
        return np.nan_to_num([Element(symbol).X for symbol in SYMBOLS], nan=UNKNOWN)


@cache
def _coefficients() -> np.ndarray:
    elements = json.loads(FILE.read_text())["elements"]
    return np.array([elements.get(symbol, (USUAL_VOLUME, 0, 0)) for symbol in SYMBOLS])
