"""What is known of the elements when one is to stand in for another: scale, size, charge."""

from __future__ import annotations

import math
import warnings
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from pymatgen.core import Element

from crystalnet.data.checks import supported_elements


class Chemistry(NamedTuple):
    """What substitution asks of the elements (E,), in the order of Pettifor's scale."""

    symbols: tuple[str, ...]
    usable: np.ndarray  # not radioactive
    nonmetal: np.ndarray
    electronegativity: np.ndarray
    radius: np.ndarray  # Å, at no spread of electronegativity
    radius_slope: np.ndarray  # Å a unit of that spread
    common_states: np.ndarray  # oxidation states (E, S), padded with NaN
    icsd_states: np.ndarray  # the same for all that the ICSD knows


@cache
def chemistry_of_elements() -> Chemistry:
    """Elements with tables of ours and a radius, noble gases left out.

    >>> chemistry = chemistry_of_elements()
    >>> round(float(chemistry.radius[chemistry.symbols.index("Si")]), 2)  # Å
    1.2
    """
    from pymatgen.analysis.structure_prediction.volume_predictor import bond_params  # slow to import

    elements = [Element(symbol) for symbol in supported_elements() & set(bond_params)]
    elements = [element for element in elements if not element.is_noble_gas]
    elements.sort(key=lambda element: element.mendeleev_no)
    return Chemistry(
        symbols=tuple(element.symbol for element in elements),
        usable=np.array([not element.is_radioactive for element in elements]),
        nonmetal=np.array([not (element.is_metal or element.is_metalloid) for element in elements]),
        electronegativity=np.array([element.X for element in elements]),
        radius=np.array([float(bond_params[element.symbol]["r"]) for element in elements]),
        radius_slope=np.array([float(bond_params[element.symbol]["k"]) for element in elements]),
        common_states=_ions([element.common_oxidation_states for element in elements]),
        icsd_states=_ions([element.icsd_oxidation_states for element in elements]),
    )


def _ions(states: list[tuple[int, ...]]) -> np.ndarray:
    """Each element's cations and its lowest anion, padded with NaN (E, S).

    The lowest negative state is the octet's; carbon's others, say, are those of organic molecules.
    """
    ions = [[q for q in charges if q > 0 or q == min(charges) < 0] for charges in states]
    padded = np.full((len(ions), max(map(len, ions))), np.nan)
    for row, charges in zip(padded, ions, strict=True):
        row[: len(charges)] = charges
    return padded


def charge_balanced(states: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Whether some choice among the oxidation states (N, k, S) of each filling adds up to no charge (N,).

    >>> states = np.array([[[2, 3], [-2, -2]], [[1, 1], [-2, -2]]])  # of Fe and O, Na and O
    >>> charge_balanced(states, np.array([1, 1]))  # FeO, NaO
    array([ True, False])
    """
    charges = states * counts[:, None]
    balanced = np.zeros(len(charges), dtype=bool)
    for choice in product(range(charges.shape[2]), repeat=len(counts)):
        balanced |= charges[:, np.arange(len(counts)), choice].sum(axis=1) == 0
    return balanced


@cache
def unlikeness(first: str, second: str) -> float:
    """How unlike two elements are as stand-ins for each other: 0 for equal ones, about 1 for neighbours.

    Weighted differences of their places on Pettifor's scale, electronegativity, radius and row; the weights
    are our choice, each about the inverse of a difference that matters.

    >>> unlikeness("Na", "Na"), unlikeness("Na", "K") < unlikeness("Na", "Cl")
    (0.0, True)
    """
    if first == second:
        return 0.0
    return 0.3 + float(np.abs(_nature(first) - _nature(second)).sum())


@cache
def _nature(symbol: str) -> np.ndarray:
    element = Element(symbol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of missing values
        electronegativity, radius = float(element.X), float(element.atomic_radius or math.nan)
    values = np.array([element.mendeleev_no / 12, 1.5 * electronegativity, 1.5 * radius, 0.4 * element.row])
    return np.where(np.isnan(values), (0, 2.4, 2.2, 0), values)  # 1.6 and 1.5 Å, usual ones
