"""From a pattern to ranked structures, each with its CIF and how sure it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition
from tqdm.auto import tqdm

from crystalnet.data.crystals import CRYSTAL_SYSTEMS
from crystalnet.errors import Code, CrystalNetError
from crystalnet.lattice.alignment import indexed
from crystalnet.lattice.lattice import Cell
from crystalnet.lattice.lines import CENTRINGS
from crystalnet.patterns.measured import Measured, read_pattern
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.peaks import PeakFit, fit_peaks
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.diffraction import Peaks
from crystalnet.solving.analogues import GOOD, analogues
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.densities import PHASINGS, from_density, inputs_of
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.pretrained import network_name, trained
from crystalnet.solving.ranking import CONFIDENT, distinct, facts, features, probability, structure_of
from crystalnet.solving.structure_types import FILE, TypeFile
from crystalnet.solving.templates import FAMILIES

SIMPLIFIED = 6  # candidates whose higher symmetry is looked for, our choice
SOURCES = ("analogues", "network", "phasing")
SOLVED = tuple(system for system, family in FAMILIES.items() if family in CENTRINGS)  # crystal systems


@dataclass(frozen=True, eq=False)
class Solution:
    """Ranked answers to one pattern.

    Attributes:
        name: of the pattern.
        observed: its peaks, without the shifts that the best cell shows.
        knowledge: what was said of the elements.
        cells: that explain the positions of the peaks, best first.
        candidates: best first, all different.
        confidence: the probability that the first is right.
        seconds: that it took.
        fit: the pattern taken apart, if it came as one.
        assumptions: what was taken for granted when pattern and composition were read, a sentence each.
    """

    name: str
    observed: Observed
    knowledge: Knowledge
    cells: list[Cell]
    candidates: list[Candidate]
    confidence: float
    seconds: float
    fit: PeakFit | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def is_confident(self) -> bool:
        return self.confidence >= CONFIDENT

    @property
    def structure(self):
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
        if not (name := network_name(self.cells[0].family, self.observed.exact)):
            raise CrystalNetError(
                f"{self.name}: there is no network for {self.cells[0].family} cells. Use the candidates.",
                Code.NO_NETWORK,
            )
        inputs = inputs_of(self.observed, self.knowledge)
        return trained(name).answer(*inputs, n).numpy(), trained(name).expected_similarity(*inputs)

    def table(self) -> pd.DataFrame:
        """A row a candidate."""
        rows = []
        for rank, candidate in enumerate(self.candidates, 1):
            trial = candidate.trial
            lengths = (trial.lattice**2).sum(1) ** 0.5
            rows.append(
                {
                    "rank": rank,
                    "formula": Composition("".join(trial.symbols)).reduced_formula,
                    "space group": trial.template.space_group,
                    "a (Å)": round(float(lengths[0]), 4),
                    "c (Å)": round(float(lengths[2]), 4),
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
    pattern,
    formula=None,
    wavelength: float | str | None = None,
    crystal_system: str | None = None,
    *,
    scan: int | None = None,
    catalogue: Catalogue | str | Path | None = None,
    sources: Sequence[str] = SOURCES,
    seconds: float = 30.0,
    progress: bool = True,
    seed: int = 0,
) -> Solution:
    """Structures that explain a powder pattern, ranked without knowing the truth.

    Args:
        pattern: a file (see `patterns.measured.read_pattern`), a Measured, Peaks, or an Observed.
        formula: 'Mg2Si'; or a list of elements, if the ratios are not known, with a '?' for each that is not
            known either; or None.
        wavelength: Å, or a name such as 'CuKa', where the file does not say it.
        crystal_system: 'cubic', 'trigonal', 'hexagonal' or 'tetragonal'; all of them unless given.
        scan: which one of a file of several, 1 for the first.
        catalogue: of structures to look for analogues in, or the file of one that `crystalnet.catalogue` has
            made; by default the structure types of the package.
        sources: of candidates, some of SOURCES; 'seeded' and 'random' are phasing with one kind of start.
        seconds: that each source may take.
        progress: show a progress bar.
        seed: of everything drawn.

    Raises:
        CrystalNetError: a pattern, formula or crystal system that cannot be, no peaks that stand out, or no
            cell that explains them.
    """
    started = time.perf_counter()
    if crystal_system is not None and crystal_system not in SOLVED:
        reason = "cells of more than two lengths are not indexed"
        if crystal_system not in CRYSTAL_SYSTEMS:
            reason = "there is no such crystal system"
        raise CrystalNetError(
            f"{crystal_system!r} is not solved: {reason}. Choose one of {', '.join(SOLVED)}, or None.",
            Code.BAD_ARGUMENT,
        )
    knowledge = Knowledge.of(formula)
    with tqdm(total=2 + len(sources), desc="peaks", disable=not progress, leave=False) as bar:
        name, observed, fit = _observed(pattern, wavelength, scan)
        bar.set_description("lattice")
        bar.update()
        observed, cells = indexed(observed, FAMILIES.get(crystal_system))
        bar.update()
        catalogue = embedded() if catalogue is None else Catalogue.of(catalogue)
        frames, candidates = Frames(observed), []
        for source in sources:
            bar.set_description(source)
            if not found(candidates, frames):
                candidates += propose(
                    source, frames, knowledge, cells, catalogue, crystal_system, seconds, seed
                )
            bar.update()
    ranked = chosen(candidates, frames)
    took = round(time.perf_counter() - started, 2)
    assumptions = (*(fit.pattern.assumptions if fit else ()), *knowledge.assumptions)
    return Solution(name, observed, knowledge, cells, ranked, confidence(ranked), took, fit, assumptions)


def found(candidates: Sequence[Candidate], frames: Frames) -> bool:
    """Whether no other source need be asked: exact peaks are met, or measured ones confidently explained."""
    if not candidates or min(one.distance for one in candidates) < GOOD:
        return bool(candidates)
    return not frames.observed.exact and confidence(chosen(candidates, frames)) >= CONFIDENT


def confidence(ranked: Sequence[Candidate]) -> float:
    """The probability that the first of `chosen` candidates is right; 0 if there is none."""
    if not ranked:
        return 0.0
    return float(probability(features(**facts(ranked))))


def propose(
    source: str,
    frames: Frames,
    knowledge: Knowledge,
    cells: Sequence[Cell],
    catalogue: Catalogue,
    crystal_system: str | None = None,
    seconds: float = 30.0,
    seed: int = 0,
    network=None,
) -> list[Candidate]:
    """Candidates of one source, best first; none where it cannot say anything.

    `network` takes the place of the package's own for the family of the cells.
    """
    if source == "analogues":
        measured = not frames.observed.exact
        return analogues(
            frames, knowledge, cells, catalogue,
            system=crystal_system, seconds=seconds, seed=seed, fit_lattice=measured,
        )  # fmt: skip
    if source not in (*SOURCES, *PHASINGS):
        raise CrystalNetError(
            f"There is no source {source!r}. Choose some of {', '.join(SOURCES)}.", Code.BAD_ARGUMENT
        )
    if not knowledge.is_complete:
        return []
    family = cells[0].family
    if network is None and source != "random":
        if not (name := network_name(family, frames.observed.exact)):
            return []
        network = trained(name)
    cells = [cell for cell in cells if cell.family == family]
    return from_density(frames, knowledge, cells, network, ways=(source,), seconds=seconds, seed=seed)


def chosen(candidates: Sequence[Candidate], frames: Frames) -> list[Candidate]:
    """Candidates ranked, the best in their highest symmetry, without repetitions."""
    ranked = sorted(candidates, key=lambda one: one.score)
    return distinct([one.simplified(frames) for one in ranked[:SIMPLIFIED]] + ranked[SIMPLIFIED:])


@cache
def embedded() -> Catalogue:
    """The structure types that come with the package."""
    return Catalogue(types=TypeFile(FILE))


def _observed(pattern, wavelength, scan=None) -> tuple[str, Observed, PeakFit | None]:
    if isinstance(pattern, Observed):
        return "pattern", pattern, None
    if isinstance(pattern, Peaks):
        return "peaks", Observed.of_peaks(pattern, *[wavelength_of(wavelength)] if wavelength else []), None
    measured = pattern if isinstance(pattern, Measured) else read_pattern(pattern, wavelength, scan=scan)
    fit = fit_peaks(measured, wavelength_of(wavelength))
    return measured.name, fit.observed(), fit
