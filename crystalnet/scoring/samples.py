"""Crystals as a laboratory would meet them, solved from file and formula: what a probability is fitted to.

A crystal of a calculation is first made one of a laboratory: its cell is strained as calculations err, its
atoms moved a little, its sites shared with a neighbour of the periodic table. `patterns.laboratory` measures
it. Of some samples something is told that is not so, so that no answer is right.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Element

from crystalnet.data.crystals import Crystal
from crystalnet.errors import CrystalNetError
from crystalnet.patterns.laboratory import Sample, measured_sample
from crystalnet.patterns.measured import Measured
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.solving.evidence import CLUES
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import solve
from crystalnet.solving.templates import Template, strained

# what calculations and laboratories differ by, our choice after the volumes of PBE: 1 % a length, too long
SHRINKS, SPREAD = -0.01, 0.006
MOVED = 0.03  # Å, root mean square of a free coordinate
UNTRUE = ("formula", "elements", "another's pattern", "wavelength", "mixture", "hump")
SECONDS = 10.0  # for each source of a solver, our choice
TOLD_SO = 0.2  # part of the samples of which something untrue is told, our choice


@dataclass(frozen=True, eq=False)
class Meeting:
    """A pattern, and what is told of it.

    Attributes:
        crystal: that was measured, and its atoms as they are in the laboratory.
        atoms: see there.
        pattern: of it.
        formula: told.
        wavelength: told, Å or a name.
        untrue: which of UNTRUE is, or "".
    """

    crystal: Crystal
    atoms: Atoms
    pattern: Measured
    formula: str
    wavelength: str
    untrue: str = ""


def real(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A calculated crystal as a laboratory may find it: strained and moved within its symmetry.

    >>> from crystalnet.data.prototypes import library_crystals
    >>> salt = next(one for one in library_crystals() if one.formula == "NaCl" and one.space_group == 225)
    >>> moved = real(salt.atoms, np.random.default_rng(0))
    >>> bool(0.93 < moved.volume / salt.atoms.volume < 1)
    True
    """
    template = Template.of(atoms)
    strain = np.tensordot(rng.normal(0, SPREAD, len(template.strains)), template.strains, 1)
    lattice = strained(template.lattice, strain + rng.normal(SHRINKS, SPREAD) * np.eye(3))
    free = template.freedom  # (A, 3, P)
    step = rng.normal(0, MOVED / np.cbrt(abs(np.linalg.det(lattice))), free.shape[2])
    return template.atoms(lattice, template.symbols, template.frac_coords + free @ step)


def neighbours(elements: Sequence[str]) -> dict[str, str]:
    """For each element another that is most like it on the scale of Pettifor, as modified by Glawe et al.
    (New J. Phys. 18, 093011, 2016), and known to scatter.

    >>> neighbours(["Mg", "Fe"])["Fe"]
    'Mn'
    """
    known = [symbol for symbol, number in ATOMIC_NUMBERS.items() if number < 104]
    scale = {Element(symbol).mendeleev_no: symbol for symbol in known}
    numbers = np.array(sorted(scale))
    found = {}
    for symbol in elements:
        own = Element(symbol).mendeleev_no
        others = numbers[numbers != own]
        found[symbol] = scale[int(others[np.abs(others - own).argmin()])]
    return found


def meeting(crystal: Crystal, other: Crystal, untrue: str = "") -> Meeting:
    """A crystal met in the laboratory; the same for the same crystals.

    Args:
        other: of other elements: its second phase, or what is told for it.
        untrue: what is told that is not so: another's formula; its own with the heaviest element exchanged;
            another's pattern under its own formula; a wavelength 5 % off; a mixture of two half and half; a
            pattern of which a hump hides the most. Or "".
    """
    digest = hashlib.sha256(f"{crystal.material_id} {untrue}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))
    atoms, second = real(crystal.atoms, rng), real(other.atoms, rng)
    sample = Sample.drawn(rng, neighbours(sorted(set(atoms.symbols.tolist()) - {"H"})))
    formula, wavelength = crystal.formula, "CuKa"
    facts = vars(sample).copy()
    if untrue == "mixture":
        facts |= {"second": 1.0}
    if untrue == "hump":
        facts |= {"hump": 5.0, "counts": 300.0}
    sample = Sample(**facts)
    if untrue == "formula":
        formula = other.formula
    elif untrue == "elements":
        formula = _exchanged(formula, rng)
    measured = second if untrue == "another's pattern" else atoms
    pattern = measured_sample(measured, sample, atoms if measured is second else second)
    if untrue == "wavelength":
        wavelength = f"{1.5418 * rng.choice([0.95, 1.05]):.4f}"
    return Meeting(crystal, atoms, pattern, formula, wavelength, untrue)


def _exchanged(formula: str, rng: np.random.Generator) -> str:
    """The formula with its heaviest element exchanged for one of another column and row."""
    amounts = Composition(formula).get_el_amt_dict()
    heavy = max(amounts, key=lambda symbol: ATOMIC_NUMBERS[symbol] * amounts[symbol])
    choice = [
        symbol
        for symbol, number in ATOMIC_NUMBERS.items()
        if symbol not in amounts and 5 < abs(number - ATOMIC_NUMBERS[heavy]) < 25 and 2 < number < 84
    ]
    new = Counter({symbol: amount for symbol, amount in amounts.items() if symbol != heavy})
    new[str(rng.choice(choice))] = amounts[heavy]
    return Composition(new).reduced_formula


def met(crystals: Sequence[Crystal], seed: int = 0) -> list[tuple[Crystal, Crystal, str]]:
    """Arguments of `meeting` for crystals in their order: each with another one that shares no element with
    it, and what is told untrue of it.

    >>> from crystalnet.data.crystals import Crystal
    >>> lone = [Crystal(name, Atoms(3 * np.eye(3), np.zeros((1, 3)), np.array([name])), 221, "cubic")
    ...     for name in ("Po", "Fe")]
    >>> [(crystal.material_id, other.material_id) for crystal, other, _ in met(lone)]
    [('Po', 'Fe'), ('Fe', 'Po')]
    >>> meeting(lone[0], lone[1]).formula
    'Po'
    """
    rng = np.random.default_rng(seed)
    elements = [set(crystal.atoms.symbols.tolist()) for crystal in crystals]
    drawn = []
    for crystal, own in zip(crystals, elements, strict=True):
        untrue = str(rng.choice(UNTRUE)) if rng.random() < TOLD_SO else ""
        others = [k for k, other in enumerate(elements) if not own & other]
        drawn.append((crystal, crystals[int(rng.choice(others))], untrue))
    return drawn


def row_of(crystal: Crystal, other: Crystal, untrue: str = "") -> dict:
    """A crystal met in the laboratory and solved: material_id, formula, crystal_system, atoms, untrue, right
    (1 or 0 by StructureMatcher's defaults), space_group, found_group, CLUES (nan without an answer), origin,
    seconds, code of an error."""
    row = {
        "material_id": crystal.material_id,
        "formula": crystal.formula,
        "crystal_system": crystal.crystal_system,
        "atoms": len(crystal.atoms.symbols),
        "untrue": untrue,
        "right": 0,
        "space_group": crystal.space_group,
        "found_group": 0,
        **dict.fromkeys(CLUES, np.nan),
        "origin": "",
        "seconds": np.nan,
        "code": "",
    }
    one = meeting(crystal, other, untrue)
    try:
        solution = solve(one.pattern, one.formula, one.wavelength, seconds=SECONDS, progress=False)
    except CrystalNetError as error:
        return row | {"code": error.code.name}
    row["seconds"] = solution.seconds
    if not solution.candidates:
        return row
    fits = StructureMatcher().fit(structure_of(one.atoms), solution.structure)
    return row | {
        "right": int(fits and untrue in ("", "hump")),
        "found_group": solution.candidates[0].trial.template.space_group,
        **solution.evidence,
        "origin": solution.candidates[0].origin,
    }
