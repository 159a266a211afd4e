"""Files of a report for other programs: CIFs, and the density."""

from __future__ import annotations

from pathlib import Path

from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet.data.crystals import SYMPREC
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import GRID, promolecule_cmed
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.ranking import structure_of


def cif(candidate: Candidate) -> str:
    """The text of a candidate's CIF, with its symmetry.

    >>> from crystalnet.patterns.observed import Observed
    >>> from crystalnet.solving.frames import Frames
    >>> from crystalnet.solving.refinement import Trial
    >>> from crystalnet.solving.templates import Template
    >>> import numpy as np
    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
    >>> template, frames = Template.of(salt), Frames(Observed.of_structure(salt))
    >>> trial = Trial(template, template.lattice, ("Na", "Cl"), template.frac_coords)
    >>> "_symmetry_Int_Tables_number   225" in cif(Candidate.of(trial, "analogue of MgO", frames))
    True
    """
    return str(CifWriter(structure_of(candidate.trial.atoms), symprec=SYMPREC))


def write_density(atoms: Atoms, path: Path, n: int = GRID) -> None:
    """The promolecule of atoms in real space: `path`.CHGCAR and `path`.cube.

    CMED and density have the same values; the lattice says where they lie (paper, 'inverse mapping').
    """
    structure = structure_of(atoms)
    order = sorted(range(len(structure)), key=lambda i: structure[i].specie.symbol)
    structure = structure.__class__.from_sites([structure[i] for i in order])  # VASP wants elements together
    cmed = promolecule_cmed(structure, n)
    density = Chgcar(Poscar(structure), {"total": cmed * structure.volume})
    density.write_file(f"{path}.CHGCAR")
    density.to_cube(f"{path}.cube")
