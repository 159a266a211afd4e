"""Structure types beyond the library of `data.prototypes`: frequent ones, each by an atom of every orbit.

They are the solver's templates. The embedded data sets are drawn from the library alone.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from crystalnet.data.crystals import Crystal, crystal_from_structure

FILE = Path(__file__).with_name("structure_types.yaml")


@cache
def frequent_types() -> tuple[Crystal, ...]:
    """A crystal of each type, in its standardised primitive cell."""
    return tuple(map(_crystal, yaml.safe_load(FILE.read_text())))


def _crystal(entry: dict) -> Crystal:
    name, cell = entry["name"], entry["cell"]
    lattice = Lattice.cubic(*cell) if len(cell) == 1 else Lattice.hexagonal(*cell)
    places = [(symbol, place) for symbol, orbits in entry["sites"].items() for place in orbits]
    symbols, coords = zip(*places, strict=True)
    numbers = np.array([[float(Fraction(str(x))) for x in place] for place in coords])
    group = sg_symbol_from_int_number(entry["group"], hexagonal=True)
    structure = Structure.from_spacegroup(group, lattice, symbols, numbers)
    if structure.composition.reduced_composition != Composition(entry["formula"]).reduced_composition:
        raise ValueError(f"{FILE.name}: the sites of {name} do not hold {entry['formula']}.")
    return crystal_from_structure(structure, name, structure_type=name, source="structure types")
