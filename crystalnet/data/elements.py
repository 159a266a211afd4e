"""What is known of the elements beside their number: where they stand in the periodic table, size, charge."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from pymatgen.core import Element

N_ELEMENTS = 118
PROPERTIES = (
    *(f"group {group}" for group in range(1, 19)),
    *(f"period {period}" for period in range(1, 8)),
    *("s block", "p block", "d block", "f block"),
    "lanthanoid",
    "electronegativity",  # the rest are numbers of order 1; 0 where nothing is known
    "atomic radius",
    "ionic radius",
    "atomic number",
    "Mendeleev number",
)
ELECTRONEGATIVITY = PROPERTIES.index("electronegativity")


@cache
def element_properties() -> np.ndarray:
    """PROPERTIES of each element, (118, P) float32, index Z - 1.

    Group, period, block and series are 0 or 1. Pauling's electronegativity is in units of 4, radii (Slater's,
    or calculated where he has none, and the mean of the ionic ones) of 2 Å, both numbers of 100.

    >>> electronegativity = 4 * element_properties()[:, ELECTRONEGATIVITY]
    >>> int(electronegativity.argmax()) + 1, round(float(electronegativity.max()), 2)  # fluorine, Pauling's
    (9, 3.98)
    """
    table = np.zeros((N_ELEMENTS, len(PROPERTIES)), np.float32)
    for z in range(1, N_ELEMENTS + 1):
        element = Element.from_Z(z)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns of what is missing
            numbers = (
                element.X / 4,
                float(element.atomic_radius or element.atomic_radius_calculated or 0) / 2,
                float(element.average_ionic_radius or 0) / 2,
                z / 100,
                (element.mendeleev_no or 0) / 100,
            )
        row = dict(zip(PROPERTIES[ELECTRONEGATIVITY:], np.nan_to_num(np.array(numbers, float)), strict=True))
        row |= {f"group {element.group}": 1, f"period {element.row}": 1, f"{element.block} block": 1}
        row["lanthanoid"] = element.is_lanthanoid
        table[z - 1, [PROPERTIES.index(name) for name in row]] = list(row.values())
    return table
