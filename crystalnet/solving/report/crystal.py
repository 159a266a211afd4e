"""The crystal of a report: cell, contents, sites, distances."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd
from pymatgen.analysis.bond_valence import calculate_bv_sum
from pymatgen.core import PeriodicSite, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.structure import SymmetrizedStructure

from crystalnet.data.crystals import SYMPREC
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.report.section import Section
from crystalnet.solving.rietveld.result import AXES, UNITS, Refined

NEIGHBOURS = 3.2  # Å, our choice: bonds of all but the largest ions
BEYOND = 1.3  # of the shortest distance, our choice: what still counts as a neighbour
MOST = 8  # different distances of a site, our choice
SAME = 0.02  # Å, our choice: distances that are counted together
NEAR = 2e-3  # of a cell edge, our choice: coordinates of one site in two lists


def conventional(answer: Structure | Refined) -> Structure:
    """The conventional cell of a structure, or of a refined one as its CIF has it.

    >>> from pymatgen.core import Lattice
    >>> iron = Structure(Lattice(1.433 * (1 - 2 * np.eye(3))), ["Fe"], [[0, 0, 0]])
    >>> len(conventional(iron))
    2
    """
    if isinstance(answer, Refined):
        return Structure.from_str(answer.files[".cif"], fmt="cif")
    return SpacegroupAnalyzer(answer, SYMPREC).get_refined_structure()


def symmetrized(structure: Structure) -> SymmetrizedStructure:
    """With its equivalent sites told apart.

    >>> from pymatgen.core import Lattice
    >>> iron = Structure(Lattice.cubic(2.866), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> symmetrized(iron).wyckoff_symbols
    ['2a']
    """
    return SpacegroupAnalyzer(structure, SYMPREC).get_symmetrized_structure()


def of_crystal(structure: Structure, candidate: Candidate, refined: Refined | None) -> Section:
    """Space group, cell with uncertainties where it was refined, Z, volume, density, weight."""
    symbol, number = structure.get_space_group_info(symprec=SYMPREC)
    formula, z = structure.composition.get_reduced_formula_and_factor()
    cell = dict(zip(AXES, structure.lattice.parameters, strict=True))
    told = {axis: str(refined.cell[axis]) if refined else f"{cell[axis]:.4f}" for axis in AXES}
    facts = {"formula": formula, "space group": f"{symbol} ({number})"}
    facts |= {axis: f"{told[axis]} {UNITS[axis]}" for axis in AXES}
    facts |= {
        "Z": f"{z:g}",
        "volume": f"{structure.volume:.2f} Å³",
        "density": f"{structure.density:.3f} g/cm³",
        "formula weight": f"{structure.composition.weight / z:.2f} g/mol",
        "from": candidate.origin,
    }
    lacks = candidate.n_absent > 0
    return Section("Crystal", facts, remarks=("Hydrogen has no place in this structure.",) * lacks)


def sites(structure: Structure, refined: Refined | None) -> Section:
    """A row a site: label, element, Wyckoff letter with its multiplicity, x, y, z and B.

    >>> from pymatgen.core import Lattice
    >>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    >>> sites(salt, None).table["Wyckoff"].tolist()
    ['4a', '4b']
    """
    whole, counts, rows = symmetrized(structure), Counter(), []
    for group, letter in zip(whole.equivalent_sites, whole.wyckoff_symbols, strict=True):
        symbol = group[0].specie.symbol
        counts[symbol] += 1
        row = {"site": f"{symbol}{counts[symbol]}", "element": symbol, "Wyckoff": letter}
        listed = _listed(group, refined)
        if listed is None:
            row |= dict(zip("xyz", (f"{x:.4f}" for x in group[0].frac_coords), strict=True))
        else:
            row |= {name: listed[name] for name in ("x", "y", "z", "B (Å²)")}
        rows.append(row)
    return Section("Sites", table=pd.DataFrame(rows).fillna(""))


def _listed(group: list[PeriodicSite], refined: Refined | None) -> pd.Series | None:
    """The row of the refinement's list that is one of the equivalent sites."""
    if refined is None:
        return None
    places = np.array([site.frac_coords for site in group])
    for _, row in refined.sites[refined.sites["element"] == group[0].specie.symbol].iterrows():
        place = [float(re.sub(r"\(.*", "", row[axis])) for axis in "xyz"]
        apart = places - place
        if np.abs(apart - np.round(apart)).max(1).min() < NEAR:
            return row
    return None


def distances(structure: Structure) -> Section:
    """Neighbours of every site with their distances, and its bond-valence sum (O'Keeffe & Brese 1991).

    >>> from pymatgen.core import Lattice
    >>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    >>> distances(salt).table.iloc[0].tolist()
    ['Na1', '6 × Cl1 2.82', '0.84']
    """
    whole, rows = symmetrized(structure), []
    names = _names(whole)
    for group in whole.equivalent_sites:
        near = [one for one in structure.get_neighbors(group[0], NEIGHBOURS) if one.nn_distance > SAME]
        shortest = min((one.nn_distance for one in near), default=0.0)
        kinds: Counter[tuple[str, float]] = Counter()
        for one in near:
            if one.nn_distance <= BEYOND * shortest:
                kinds[names[one.index], round(one.nn_distance / SAME) * SAME] += 1
        told = sorted(kinds.items(), key=lambda kind: kind[0][1])[:MOST]
        neighbours = ", ".join(f"{n} × {name} {distance:.2f}" for (name, distance), n in told)
        rows.append(
            {
                "site": names[group[0].properties["place"]],
                "neighbours (Å)": neighbours or f"none within {NEIGHBOURS} Å",
                "bond-valence sum": _valence(group[0], near),
            }
        )
    return Section("Distances", table=pd.DataFrame(rows))


def _names(whole: SymmetrizedStructure) -> list[str]:
    """The label of every atom's site; each site is told its first atom's place."""
    names, counts = [""] * len(whole), Counter()
    for group, places in zip(whole.equivalent_sites, whole.equivalent_indices, strict=True):
        symbol = group[0].specie.symbol
        counts[symbol] += 1
        group[0].properties["place"] = places[0]
        for place in places:
            names[place] = f"{symbol}{counts[symbol]}"
    return names


def _valence(site: PeriodicSite, near: list) -> str:
    try:
        return f"{calculate_bv_sum(site, near):.2f}"
    except (KeyError, ValueError):  # an element without parameters
        return ""
