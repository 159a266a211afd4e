"""What a report says, section by section, once for every form that it takes."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pymatgen.core import Structure

from crystalnet import __version__, hardware
from crystalnet.lattice.lattice import Cell
from crystalnet.solving.candidates import WIDE, Candidate
from crystalnet.solving.ranking import CONFIDENT
from crystalnet.solving.report.crystal import conventional, distances, of_crystal, sites
from crystalnet.solving.report.lines import Strangers, listed, reflections, strange, strangers
from crystalnet.solving.report.section import Section
from crystalnet.solving.rietveld.result import Refined
from crystalnet.solving.solution import Solution

MOST = 5  # candidates that are told of, our choice
MOST_REFLECTIONS = 60  # in the page, our choice; reflections.csv holds all
CAVEAT = (
    "Elements that scatter alike (neighbours in the periodic table) may have changed places. X-rays hardly"
    " see hydrogen. Partial occupancy and disorder are not fitted."
)


@dataclass(frozen=True)
class Facts:
    """All that a report says.

    Attributes:
        title: the pattern's name.
        verdict: what is to be thought of the answer, a few sentences.
        assumed: what nobody told and the answer rests upon.
        sections: in reading order; 'Pattern' and 'Crystal' are those that have pictures.
        structure: conventional cell of the answer; None, as what follows, where there is none.
        strangers: lines that the structure does not explain, and the other way round.
        reflections: all of them.
    """

    title: str
    verdict: str
    assumed: tuple[str, ...]
    sections: tuple[Section, ...]
    structure: Structure | None = None
    strangers: Strangers | None = None
    reflections: pd.DataFrame | None = None

    @classmethod
    def of(cls, solution: Solution, refined: Refined | None = None, remarks: Sequence[str] = ()) -> Facts:
        """Of a solution, and of the refinement of its first candidate where there is one.

        Args:
            remarks: on the refinement, such as why there is none.
        """
        sure = f" Probability of being right: {solution.confidence:.2f} (confident from {CONFIDENT})."
        verdict = solution.verdict.value
        if not solution.is_confident:
            verdict = f"No confident answer ({solution.verdict.name}). {verdict}"
            verdict += " The candidates are worth a look, not a deposit." * bool(solution.candidates)
        assumed = tuple(f"Taken for granted: {told}." for told in solution.assumptions)
        if not solution.candidates:
            return cls(solution.name, verdict + sure, assumed, (_given(solution), _made(solution)))
        structure = conventional(refined or solution.structure)
        strange_ones, table = strange(solution, structure), listed(structure, solution.observed)
        sections = (
            _given(solution),
            _pattern(solution, refined, remarks),
            strangers(strange_ones),
            of_crystal(structure, solution.candidates[0], refined),
            sites(structure, refined),
            distances(structure),
            _candidates(solution),
            reflections(table, MOST_REFLECTIONS),
            _made(solution),
        )
        return cls(solution.name, verdict + sure, assumed, sections, structure, strange_ones, table)


def _given(solution: Solution) -> Section:
    observed, knowledge = solution.observed, solution.knowledge
    formula = "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in knowledge.formula.items())
    facts = {
        "composition": formula or ", ".join(knowledge.elements) or "nothing",
        "wavelength": f"{observed.wavelength:.5f} Å",
        "peaks": f"{len(observed.s)}, d = {1 / (2 * observed.s[-1]):.3f} to {1 / (2 * observed.s[0]):.3f} Å",
    }
    if solution.fit:
        x = solution.fit.pattern.two_theta
        facts["measured"] = f"2θ = {x[0]:.2f} to {x[-1]:.2f}°, {len(x)} points"
        facts["Kα₂"] = "seen, and taken into account" if solution.fit.doublet else "not seen"
    return Section("Given", facts)


def _pattern(solution: Solution, refined: Refined | None, remarks: Sequence[str]) -> Section:
    trial = solution.candidates[0].trial
    if refined is None:
        facts = {
            "distance": f"{solution.candidates[0].distance:.3f} of the square-root profile, 0 to 1",
            "shift by the sample's height": f"{trial.height:.3f}° cos θ",
            "B of all atoms": f"{trial.b_factor:.2f} Å²",
        }
        return Section("Pattern", facts, remarks=remarks or ("Not refined.",))
    return Section("Pattern", refined.facts, remarks=(*refined.remarks, *remarks))


def _candidates(solution: Solution) -> Section:
    table = solution.table().head(MOST)
    table["score"] = [f"{one.score:.3f}" for one in solution.candidates[:MOST]]
    table["reason"] = [_reason(one, solution.candidates[0]) for one in solution.candidates[:MOST]]
    said = (
        "Distance: from the measured square-root profile, 0 to 1, up to sin(theta)/lambda ="
        f" {min(solution.observed.high, WIDE):.2f} 1/Å. The score, lowest first, is its logarithm and what"
        " the parameters cost."
    )
    return Section("Candidates", table=table, remarks=(said,))


def _reason(one: Candidate, first: Candidate) -> str:
    """Why a candidate stands where it does."""
    n = one.trial.n_parameters
    if one is first:
        return f"explains most for its {n} parameters"
    farther = one.distance / max(first.distance, 1e-9)
    more = n - first.trial.n_parameters
    told = f"{farther:.1f} times as far" if farther >= 1 else f"nearer by {1 - farther:.0%}"
    amount = f"{abs(more)} {'more' if more > 0 else 'fewer'}" if more else "as many"
    return f"{told}, {amount} parameters"


def _made(solution: Solution) -> Section:
    facts = {
        "CrystalNet": __version__,
        "Python": platform.python_version(),
        "hardware": hardware.description(),
        "time": f"{solution.seconds:.1f} s",
        "lattice": indexed_by(solution.cells),
    }
    return Section("How it was made", facts, remarks=(CAVEAT,))


def indexed_by(cells: Sequence[Cell]) -> str:
    """What the positions of the peaks say of the cell.

    >>> indexed_by([])
    'positions of the peaks tell no cubic, hexagonal or tetragonal cell'
    """
    if not cells:
        return "positions of the peaks tell no cubic, hexagonal or tetragonal cell"
    cell = cells[0]
    convinces = "" if cell.convincing else ", which does not convince"
    return (
        f"from the positions of the peaks: {cell.family}, a = {cell.a:.4f} Å, c = {cell.c:.4f} Å;"
        f" {cell.n_indexed} of {cell.n_peaks} peaks indexed, figure of merit {cell.figure_of_merit:.0f}"
        f"{convinces}"
    )
