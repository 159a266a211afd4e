"""From a pattern to ranked structures, each with its CIF and how sure it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition, Lattice, Structure
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError
from crystalnet.lattice.alignment import indexed
from crystalnet.lattice.lattice import Cell
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.peaks import PeakFit
from crystalnet.patterns.profile import Profile
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.densities import inputs_of
from crystalnet.solving.door import Pattern, cell_of, pattern_of, seconds_of, sources_of, system_of
from crystalnet.solving.frames import Frames
from crystalnet.solving.given_cell import from_cell
from crystalnet.solving.knowledge import Knowledge, Said
from crystalnet.solving.pretrained import network_name, trained
from crystalnet.solving.ranking import CONFIDENT, structure_of
from crystalnet.solving.sources import (
    INDEXED,
    SOURCES,
    chosen,
    compared,
    embedded,
    found,
    is_worth,
    judged,
    propose,
)
from crystalnet.solving.templates import FAMILIES
from crystalnet.solving.verdict import Verdict

DOUBTFUL = 0.2  # of the time, where no cell from positions convinces; our choice
ANGLES = "alpha", "beta", "gamma"


@dataclass(frozen=True, eq=False)
class Solution:
    """Ranked answers to one pattern.

    Attributes:
        name: of the pattern.
        observed: its peaks, without the shifts that the best cell shows.
        knowledge: what was said of the elements.
        cells: that explain the positions of the peaks, best first; none where no peaks could be indexed.
        candidates: best first, all different.
        confidence: the probability that the first is right.
        verdict: whether that is a confident answer, and if not, why.
        seconds: that it took.
        fit: the pattern taken apart, if it came as one.
        assumptions: what was taken for granted when pattern and composition were read, a sentence each.
        evidence: what `confidence` was computed from, by name.
    """

    name: str
    observed: Observed
    knowledge: Knowledge
    cells: list[Cell]
    candidates: list[Candidate]
    confidence: float
    verdict: Verdict
    seconds: float
    fit: PeakFit | None = None
    assumptions: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_confident(self) -> bool:
        return self.confidence >= CONFIDENT

    @property
    def structure(self) -> Structure:
        """The first candidate as a pymatgen Structure, primitive cell.

        Raises:
            CrystalNetError: there is no candidate.
        """
        if not self.candidates:
            raise CrystalNetError(
                f"{self.name}: no structure explains the pattern. Check formula and wavelength, or give a"
                " larger catalogue.",
                Code.NO_CANDIDATE,
            )
        return structure_of(self.candidates[0].trial.atoms)

    def best_or_none(self) -> Structure | None:
        """The first candidate as `structure`, or None where there is no confident answer."""
        return self.structure if self.is_confident else None

    def network_answer(self, n: int = 50) -> tuple[np.ndarray, float]:
        """What the network makes of peaks and formula, without lattice and candidates: its density (n, n, n)
        in the canonical primitive cell, e/Å^3, and the SSIM that it expects to reach.

        Raises:
            CrystalNetError: the formula is not known whole, or there is no network for such a cell.
        """
        if not self.knowledge.is_complete:
            raise CrystalNetError(
                f"{self.name}: a network needs the whole formula. Give it to solve.", Code.BAD_FORMULA
            )
        family = self.cells[0].family if self.cells else "unknown"
        if not (name := network_name(family, self.observed.exact)):
            raise CrystalNetError(
                f"{self.name}: there is no network for {family} cells. Use the candidates.",
                Code.NO_NETWORK,
            )
        inputs = inputs_of(self.observed, self.knowledge)
        return trained(name).answer(*inputs, n).numpy(), trained(name).expected_similarity(*inputs)

    def table(self) -> pd.DataFrame:
        """A row a candidate."""
        rows = []
        for rank, candidate in enumerate(self.candidates, 1):
            trial = candidate.trial
            cell = Lattice(trial.lattice)
            rows.append(
                {
                    "rank": rank,
                    "formula": Composition("".join(trial.symbols)).reduced_formula,
                    "space group": trial.template.space_group,
                    **{f"{axis} (Å)": round(x, 4) for axis, x in zip("abc", cell.abc, strict=True)},
                    **{f"{name} (°)": round(x, 3) for name, x in zip(ANGLES, cell.angles, strict=True)},
                    "atoms": len(trial.symbols),
                    "distance": round(candidate.distance, 4),
                    "from": candidate.origin,
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        verdict = "confident" if self.is_confident else "no confident answer"
        found = f"{len(self.candidates)} candidates, p = {self.confidence:.2f}, {verdict}"
        return f"Solution of {self.name}: {found}"


def solve(
    pattern: Pattern,
    formula: Said = None,
    wavelength: float | str | None = None,
    crystal_system: str | None = None,
    *,
    cell: Sequence[float] | None = None,
    space_group: int | str | None = None,
    scan: int | None = None,
    catalogue: Catalogue | str | Path | None = None,
    sources: str | Iterable[str] = SOURCES,
    seconds: float = 30.0,
    progress: bool = True,
    seed: int = 0,
) -> Solution:
    """Structures that explain a powder pattern, ranked without knowing the truth.

    Cells come from the positions of peaks where they are cubic, hexagonal or tetragonal, and in all systems
    from the whole profile, with known structure types whose cells are strained until they fit.

    Args:
        pattern: a file (see `patterns.measured.read_pattern`), a Measured, Peaks, or an Observed.
        formula: 'Mg2Si'; or a list of elements, if the ratios are not known, with a '?' for each that is not
            known either; or None.
        wavelength: Å, or a name such as 'CuKa', where the file does not say it.
        crystal_system: one of the seven; all of them unless given.
        cell: a, b, c in Å and alpha, beta, gamma in degrees, where it is known: any cell of the lattice.
            Nothing is indexed then, and no other cell is tried.
        space_group: number or symbol, known with the cell.
        scan: which one of a file of several, 1 for the first.
        catalogue: of structures to look for analogues in, or the file of one that `crystalnet.catalogue` has
            made; by default the structure types of the package.
        sources: of candidates, some of SOURCES; 'seeded' and 'random' are phasing with one kind of start.
        seconds: that each source may take.
        progress: show a progress bar.
        seed: of everything drawn.

    Raises:
        CrystalNetError: a pattern, formula, crystal system, cell, source or time that cannot be, no peaks
            that stand out, or neither a cell that explains them nor a known type that does.
    """
    started = time.perf_counter()
    system, sources, seconds = system_of(crystal_system), sources_of(sources), seconds_of(seconds)
    given, knowledge = cell_of(cell, space_group), Knowledge.of(formula)
    sources = ("cell", *(one for one in sources if one != "profile")) if given else sources
    with tqdm(total=2 + len(sources), desc="peaks", disable=not progress, leave=False) as bar:
        name, observed, fit = pattern_of(pattern, wavelength, scan)
        bar.set_description("lattice")
        bar.update()
        if given:
            cells, no_cell = given.cells(len(observed.s)), None
        else:
            observed, cells, no_cell = _indexed(observed, system)
        bar.update()
        catalogue = embedded() if catalogue is None else Catalogue.of(catalogue)
        peaks = whole = Frames(observed)
        profile = Profile.of(fit) if fit else Profile.of_peaks(observed)
        if fit:
            whole = Frames(profile.observed(observed))
        candidates: list[Candidate] = []
        is_found = False
        for source in sources:
            bar.set_description(source)
            asked = not is_found or (fit and source == "profile")  # positions alone may mislead
            if asked and is_worth(source, candidates, cells, whole):
                on_curve = source in ("profile", "cell")
                frames = whole if on_curve else peaks
                limit = seconds if not fit or (cells and cells[0].convincing) else DOUBTFUL * seconds
                if source == "cell":
                    proposed = from_cell(given, frames, knowledge, catalogue, system)
                else:
                    proposed = propose(
                        source, frames, knowledge, cells, catalogue,
                        crystal_system=system, seconds=limit, seed=seed, profile=profile,
                    )  # fmt: skip
                candidates += proposed if on_curve or not fit else compared(proposed, whole)
                is_found = found(candidates, whole, peaks)
            bar.update()
    ranked = chosen(candidates, whole)
    if no_cell and not ranked:
        raise no_cell if "profile" not in sources else _nothing(no_cell)
    took = round(time.perf_counter() - started, 2)
    assumptions = (*(fit.pattern.assumptions if fit else ()), *knowledge.assumptions)
    sure, verdict, told = judged(ranked, whole, peaks)
    return Solution(name, observed, knowledge, cells, ranked, sure, verdict, took, fit, assumptions, told)


def _nothing(no_cell: CrystalNetError) -> CrystalNetError:
    """The error where neither road leads anywhere."""
    return CrystalNetError(
        f"{no_cell} No structure type of the catalogue fits the whole profile either: give a larger one"
        " (crystalnet.catalogue), and check formula and wavelength.",
        Code.NO_CANDIDATE,
    )


def _indexed(observed: Observed, system: str | None) -> tuple[Observed, list[Cell], CrystalNetError | None]:
    """Peaks without shifts, cells from their positions, and the error where there are none."""
    if system is not None and system not in INDEXED:
        return observed, [], None
    try:
        return *indexed(observed, FAMILIES.get(system)), None
    except CrystalNetError as error:
        return observed, [], error
