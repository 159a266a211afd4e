"""Known structure types in a cell that the caller has: of another program's indexing, or of a single crystal.

The cell may be any of a lattice's: conventional or primitive, its axes in any order. A type is tried where
its own cell, strained by less than LENGTHS and ANGLES, becomes the given one and keeps its symmetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from pymatgen.core import Lattice

from crystalnet.data.crystals import crystal_system_of
from crystalnet.lattice.lattice import CONVINCING, Cell
from crystalnet.lattice.volumes import fills
from crystalnet.solving.candidates import MIDDLE, Candidate, priced
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.refinement import STAGES, Trial, refine
from crystalnet.solving.shared_roles import sharing
from crystalnet.solving.templates import FAMILIES, Template

LENGTHS, ANGLES = (
    0.15,
    8.0,
)  # relative and degrees that a type's cell may differ from the given one, our choice
UNSYMMETRIC = 0.01  # strain against a type's symmetry, our choice: what an indexed cell may be off
EQUAL_LENGTHS, EQUAL_ANGLES = 1e-3, 0.05  # relative and degrees, our choice: what a given cell is rounded to
ORDERS = 24  # of elements of a template, our choice
MOST_MAPS = 6  # ways that a type's axes lie upon those of the given cell, our choice
REFINED = 12  # our choice
THERMAL = 0.6  # Å^2, B of all atoms to begin with, our choice
ORIGIN = "given cell"


class GivenCell(NamedTuple):
    """A cell that is known.

    Attributes:
        lattice: (3, 3) rows, Å.
        space_group: number, if it is known too.
    """

    lattice: np.ndarray
    space_group: int | None = None

    def cells(self, n_peaks: int) -> list[Cell]:
        """The same as cells from positions, which networks and phasing take; none in other families.

        >>> GivenCell(np.diag([4.0, 4.0, 4.0])).cells(20)[0].family
        'cubic'
        """
        known = Lattice(self.lattice)
        a, b, c = known.abc
        right = np.abs(np.array(known.angles) - 90) < EQUAL_ANGLES
        if abs(a / b - 1) > EQUAL_LENGTHS or not right[:2].all():
            return []
        if abs(known.gamma - 120) < EQUAL_ANGLES:
            family = "hexagonal"
        elif right[2]:
            family = "cubic" if abs(a / c - 1) < EQUAL_LENGTHS else "tetragonal"
        else:
            return []
        return [Cell(family, a, a if family == "cubic" else c, CONVINCING * n_peaks, n_peaks, n_peaks)]


def from_cell(
    given: GivenCell, frames: Frames, knowledge: Knowledge, catalogue: Catalogue, system: str | None = None
) -> list[Candidate]:
    """Candidates in a given cell, best first; none where elements are missing or no type fits the cell."""
    ranked = [
        (priced(trial.distance(frames, MIDDLE), trial.n_parameters // 2, frames.observed.n_told), n, trial)
        for n, trial in enumerate(_trials(given, knowledge, catalogue, system))
    ]
    candidates = []
    for *_, trial in sorted(ranked, key=lambda one: one[:2])[:REFINED]:
        refined = refine(trial, frames, STAGES, lattice=True, thermal=True)
        candidates.append(Candidate.of(refined, f"{ORIGIN}, {trial.template.name}", frames))
    return sorted(candidates, key=lambda one: one.score)


def _trials(
    given: GivenCell, knowledge: Knowledge, catalogue: Catalogue, system: str | None
) -> Iterator[Trial]:
    if knowledge.n_hidden != 0:
        return
    family = FAMILIES.get(system)
    for template in catalogue.templates(knowledge, family):
        orders = [
            tuple(roles[old] for old in template.symbols.tolist())
            for _, roles in knowledge.fillings(template)[:ORDERS]
        ]
        yield from _placed(given, template, orders, system)
    for one in sharing(knowledge, catalogue, family):
        yield from _placed(given, one.template, [one.symbols], system)


def _placed(given: GivenCell, template: Template, orders, system: str | None) -> Iterator[Trial]:
    asked = given.space_group in (None, template.space_group)
    if asked and system in (None, crystal_system_of(template.space_group)):
        for lattice in laid(template, given.lattice, orders[0]):
            trial = Trial(template, lattice, orders[0], template.frac_coords, THERMAL)
            yield from (replace(trial, symbols=symbols) for symbols in orders)


def laid(template: Template, lattice: np.ndarray, symbols: tuple[str, ...]) -> list[np.ndarray]:
    """The template's conventional cells (3, 3) whose lattice, or whose primitive lattice, is the given one.

    Args:
        symbols: elements of the atoms (A,), which tell whether the volume can be.

    >>> from crystalnet.physics.atoms import Atoms
    >>> atoms = Atoms(4.12 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Cs", "Cl"]))
    >>> laid(Template.of(atoms), 4.2 * np.eye(3), ("Cs", "Cl"))[0].round(2).diagonal()
    array([4.2, 4.2, 4.2])
    """
    found: list[np.ndarray] = []
    primitive = np.linalg.solve(template.cell, template.lattice)
    amounts = {symbol: symbols.count(symbol) for symbol in symbols}
    volume = abs(np.linalg.det(lattice))
    for own, to_conventional, n in (
        (template.lattice, np.eye(3), template.n_points),
        (primitive, template.cell, 1),
    ):
        if (n == 1 and found) or not fills(amounts, volume / n):
            continue
        scale = (volume / abs(np.linalg.det(own))) ** (1 / 3)
        wanted = Lattice(scale * own)
        maps = Lattice(lattice).find_all_mappings(wanted, LENGTHS, ANGLES, skip_rotation_matrix=True)
        for aligned, _, integers in maps:
            if abs(abs(np.linalg.det(integers)) - 1) < 1e-6:
                cell = _symmetric(template, to_conventional @ aligned.matrix)
                if cell is not None and not any(np.allclose(cell, other, atol=1e-3) for other in found):
                    found.append(cell)
            if len(found) == MOST_MAPS:
                break
    return found


def _symmetric(template: Template, lattice: np.ndarray) -> np.ndarray | None:
    """The cell, turned as the template lies and with its symmetry; None if it has not nearly got it."""
    stretch = np.linalg.solve(template.lattice, lattice)
    squares, axes = np.linalg.eigh(stretch @ stretch.T)
    strain = (axes * np.log(squares) / 2) @ axes.T
    basis = template.strains.reshape(len(template.strains), 9)
    kept = (np.linalg.lstsq(basis.T, strain.ravel(), rcond=None)[0] @ basis).reshape(3, 3)
    if np.abs(strain - kept).max() > UNSYMMETRIC:
        return None
    squares, axes = np.linalg.eigh(kept)
    return template.lattice @ (axes * np.exp(squares)) @ axes.T
