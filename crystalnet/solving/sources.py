"""Where candidates come from, and how those of all sources meet in one list.

>>> import numpy as np
>>> from crystalnet.data.prototypes import library_crystals
>>> from crystalnet.patterns.observed import Observed
>>> from crystalnet.lattice.lattice import find_cells
>>> crystal = next(one for one in library_crystals() if one.formula == "NaCl")
>>> peaks = Observed.of_structure(crystal.atoms)
>>> frames, cells = Frames(peaks), find_cells(peaks, "cubic")
>>> proposed = propose("analogues", frames, Knowledge.of("NaCl"), cells, Catalogue([crystal]), seconds=5)
>>> ranked = chosen(proposed, frames)
>>> ranked[0].origin, found(ranked, frames), is_worth("network", ranked, cells, frames)
('analogue of NaCl (NaCl AB_cF8_225_a_b)', True, True)
>>> judged(ranked, frames).probability > 0, judged([], frames).verdict.name
(True, 'NO_CANDIDATE')
>>> len(compared(ranked, frames)) == len(ranked), len(embedded()) > 1000
(True, True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from crystalnet.errors import Code, CrystalNetError
from crystalnet.lattice.lattice import Cell
from crystalnet.lattice.lines import CENTRINGS
from crystalnet.model.network import DensityNetwork
from crystalnet.patterns.profile import ObservedCurve, Profile
from crystalnet.solving import evidence
from crystalnet.solving.analogues import GOOD, analogues
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.densities import PHASINGS, from_density
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.pretrained import network_name, trained
from crystalnet.solving.profile_search import ORIGIN, from_profile
from crystalnet.solving.ranking import COMPARED, CONFIDENT, distinct, facts, features, probability
from crystalnet.solving.refinement import STAGES, refine
from crystalnet.solving.structure_types import FILE, TypeFile
from crystalnet.solving.templates import FAMILIES
from crystalnet.solving.verdict import Verdict, verdict_of

SIMPLIFIED = 6  # candidates whose higher symmetry is looked for, our choice
SOURCES = ("analogues", "profile", "network", "phasing")
MOST_SURE = 0.75  # of an answer of the profile alone, or without hydrogen, our choice until it is calibrated
EXPLAINED = 0.45  # distance of a whole curve, our choice: right structures mostly come nearer unrefined
WIDER = 8  # candidates from positions that are compared with the whole curve, our choice
INDEXED = tuple(system for system, family in FAMILIES.items() if family in CENTRINGS)  # crystal systems


class Judgement(NamedTuple):
    """The probability that an answer is right, what is to be thought of it, and what that was computed from:
    CLUES of `evidence` or FACTS of `ranking`, none without an answer."""

    probability: float
    verdict: Verdict
    evidence: Mapping[str, float]


def found(candidates: Sequence[Candidate], frames: Frames, peaks: Frames | None = None) -> bool:
    """Whether no other source need be asked: exact peaks are met, or measured ones confidently explained.

    Args:
        frames: that the candidates were compared in.
        peaks: as in `judged`.
    """
    if not candidates or min(one.distance for one in candidates) < GOOD:
        return bool(candidates)
    measured = not frames.observed.exact
    return measured and judged(chosen(candidates, frames), frames, peaks).probability >= CONFIDENT


def is_worth(source: str, candidates: Sequence[Candidate], cells: Sequence[Cell], frames: Frames) -> bool:
    """Whether a source may say more: of measured patterns that known types explain, or whose cell does not
    convince, densities hardly do."""
    if frames.observed.exact or source in ("analogues", "cell", "profile") or not candidates:
        return True
    explained = min(one.distance for one in candidates) < EXPLAINED
    return not explained and bool(cells) and cells[0].convincing


def judged(ranked: Sequence[Candidate], frames: Frames, peaks: Frames | None = None) -> Judgement:
    """What is to be thought of the first of `chosen` candidates; its probability is 0 if there is none.

    Where a whole curve was measured and the formula is known, `evidence` says it; else `ranking`, whose
    weights were fitted to cells from positions, so that what a profile alone says stays below CONFIDENT.

    Args:
        frames: that the candidates were compared in.
        peaks: frames of the peaks, where candidates were compared with the whole curve.
    """
    if not ranked:
        return Judgement(0.0, verdict_of(None, 0.0), {})
    if isinstance(frames.observed, ObservedCurve) and not ranked[0].n_unnamed:
        told = evidence.clues(ranked, frames)
        sure = float(probability(evidence.features_of_clues(told), evidence.WEIGHTS))
        if ranked[0].n_absent and sure > MOST_SURE:
            return Judgement(MOST_SURE, Verdict.FAINT, told)  # places of hydrogen are open
        return Judgement(sure, verdict_of(told, sure), told)
    first, *others = [one.changed(one.trial, peaks) for one in ranked[:COMPARED]] if peaks else ranked
    told = facts([first, *sorted(others, key=lambda one: one.score)])
    sure = float(probability(features(**told)))
    capped = first.origin.startswith(ORIGIN) and sure > MOST_SURE
    sure = MOST_SURE if capped else sure
    return Judgement(sure, verdict_of(told, sure, capped), told)


def propose(
    source: str,
    frames: Frames,
    knowledge: Knowledge,
    cells: Sequence[Cell],
    catalogue: Catalogue,
    *,
    crystal_system: str | None = None,
    seconds: float = 30.0,
    seed: int = 0,
    network: DensityNetwork | None = None,
    profile: Profile | None = None,
) -> list[Candidate]:
    """Candidates of one source, best first; none where it cannot say anything.

    Args:
        network: takes the place of the package's own for the family of the cells.
        profile: the whole curve, where more is known than the peaks of the frames.
    """
    if source == "analogues" and cells:
        measured = not frames.observed.exact
        return analogues(
            frames, knowledge, cells, catalogue,
            system=crystal_system, seconds=seconds, seed=seed, fit_lattice=measured,
        )  # fmt: skip
    if source == "profile":
        profile = profile or Profile.of_peaks(frames.observed)
        return from_profile(profile, frames, knowledge, catalogue, system=crystal_system, seed=seed)
    if source not in (*SOURCES, *PHASINGS):
        raise CrystalNetError(
            f"There is no source {source!r}. Choose some of {', '.join(SOURCES)}.", Code.BAD_ARGUMENT
        )
    if not (knowledge.is_complete and cells):
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


def compared(candidates: Sequence[Candidate], frames: Frames) -> list[Candidate]:
    """The best candidates from positions, fitted to the whole curve; its angles may be shifted."""
    fitted = [refine(one.trial, frames, STAGES[:1], True, True) for one in candidates[:WIDER]]
    return [one.changed(trial, frames) for one, trial in zip(candidates, fitted, strict=False)]


@cache
def embedded() -> Catalogue:
    """The structure types that come with the package."""
    return Catalogue(types=TypeFile(FILE))
