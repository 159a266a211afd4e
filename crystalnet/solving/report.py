"""A solution on disk: what a person would file, and the files that other programs read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet import __version__
from crystalnet.data.crystals import SYMPREC
from crystalnet.errors import Code, CrystalNetError
from crystalnet.lattice.lattice import Cell
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import GRID, promolecule_cmed
from crystalnet.solving.candidates import WIDE, Candidate
from crystalnet.solving.ranking import CONFIDENT, structure_of
from crystalnet.solving.solution import Solution

MOST = 5  # candidates that are written, our choice


def write_report(solution: Solution, folder: str | Path, most: int = MOST) -> Path:
    """CIFs of the best candidates, the density of the first as CHGCAR and cube, and a report to read.

    The folder is written whole or not at all; one that exists already is left as it is.

    Args:
        folder: must not exist.

    Returns:
        The folder.

    Raises:
        CrystalNetError: there is no candidate, the folder exists, or it cannot be written.
    """
    folder = Path(folder)
    if not solution.candidates:
        raise CrystalNetError(
            f"{solution.name}: there is no candidate to report. Check formula and wavelength first.",
            Code.NO_CANDIDATE,
        )
    if folder.exists():
        raise CrystalNetError(
            f"{folder} exists already. Name another folder, or remove it first.", Code.NOT_WRITTEN
        )
    part = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        for rank, candidate in enumerate(solution.candidates[:most], 1):
            formula = structure_of(candidate.trial.atoms).composition.reduced_formula
            name = f"{rank}-{formula}-{candidate.trial.template.space_group}"
            (part / f"{name}.cif").write_text(cif(candidate), encoding="utf-8")
        _write_density(solution.candidates[0].trial.atoms, part / "1-density")
        solution.table().to_csv(part / "candidates.csv", index=False)
        (part / "report.md").write_text(report(solution), encoding="utf-8")
        os.chmod(part, 0o755)
        os.replace(part, folder)
    except OSError as error:
        raise CrystalNetError(
            f"{folder} could not be written ({error}). Free disk space, or choose another folder.",
            Code.NOT_WRITTEN,
        ) from None
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
    return folder


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


def _write_density(atoms: Atoms, path: Path, n: int = GRID) -> None:
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


def report(solution: Solution) -> str:
    """One page of Markdown: what was given, what was found, and how far it may be trusted."""
    observed, table = solution.observed, solution.table().head(MOST)
    d_range = f"{1 / (2 * observed.s[-1]):.3f} to {1 / (2 * observed.s[0]):.3f} Å"
    knowledge = solution.knowledge
    given = "".join(f"{k}{n if n > 1 else ''}" for k, n in knowledge.formula.items())
    given = given or ", ".join(knowledge.elements) or "nothing"
    verdict = (
        solution.verdict.value
        if solution.is_confident
        else f"**No confident answer** ({solution.verdict.name}). {solution.verdict.value}"
        " The candidates below are worth a look, not a deposit."
    )
    rows = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    rows += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    taken = ["Taken for granted:", "", *(f"- {_plain(told)}" for told in solution.assumptions), ""]
    return "\n".join(
        [
            f"# {_plain(solution.name)}",
            "",
            f"{verdict} Probability of being right: {solution.confidence:.2f} (confident from {CONFIDENT}).",
            "",
            *(taken if solution.assumptions else []),
            "## Given",
            "",
            f"- Composition: {given}",
            f"- {len(observed.s)} peaks, d = {d_range}, wavelength {observed.wavelength:.5f} Å",
            "",
            "## Lattice",
            "",
            _indexed_by(solution.cells),
            "",
            "## Candidates",
            "",
            *rows,
            "",
            f"Distance: from the measured square-root profile, 0 to 1, up to sin(theta)/lambda ="
            f" {min(observed.high, WIDE):.2f} 1/Å.",
            "",
            "## What this does not say",
            "",
            "Elements that scatter alike (neighbours in the periodic table) may have changed places. Partial"
            " occupancy, disorder and thermal motion of single atoms are not fitted: finish with a Rietveld"
            " refinement that starts from the CIF.",
            "",
            f"CrystalNet {__version__}, {solution.seconds:.1f} s.",
            "",
        ]
    )


def _plain(text: str) -> str:
    """A name or a remark, whose characters mean nothing to Markdown and HTML."""
    return re.sub(r"([\\`<>|\[\]])", r"\\\1", " ".join(text.split()))


def _indexed_by(cells: Sequence[Cell]) -> str:
    """What the positions of the peaks say of the cell, in a sentence."""
    if not cells:
        return "No cubic, hexagonal or tetragonal cell is told by the positions of the peaks."
    cell = cells[0]
    convinces = "" if cell.convincing else ", which does not convince"
    return (
        f"From the positions of the peaks: {cell.family}, a = {cell.a:.4f} Å, c = {cell.c:.4f} Å;"
        f" {cell.n_indexed} of {cell.n_peaks} peaks indexed, figure of merit {cell.figure_of_merit:.0f}"
        f"{convinces}."
    )
