"""Analogues: known structure types in the measured cell, with the sample's elements in the types' roles.

So a crystallographer would begin, and most new compounds are found so. The search goes from cheap to dear:
every fitting type, cell and order of elements by its low angles; the best by more of the pattern, with free
coordinates refined; the best of those once more from shaken coordinates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crystalnet.data.checks import supported_elements
from crystalnet.physics.tables import SYMBOLS
from crystalnet.solving.candidates import LOW, MIDDLE, Candidate
from crystalnet.solving.catalogue import FILL, Catalogue
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.lattice import Cell
from crystalnet.solving.refinement import LAST_STAGE, STAGES, Trial, refine
from crystalnet.solving.templates import Template

ALIKE, AT_RANDOM = 5, 2  # templates of a type with free coordinates: most alike, and drawn; our choice
SCREENED = 40  # candidates that the low angles leave, our choice
REFINED = 14  # of these that are refined, our choice
SHAKEN, SHAKES = 5, (0.025, 0.025, 0.025, 0.06, 0.06)  # candidates, and how far in cell edges; our choice
POLISHED = 6
ROUNDS = 3  # over the roles of a template where no element is known, our choice
NATURAL = [symbol for symbol in SYMBOLS[:92] if symbol in supported_elements()]
GOOD = 0.02  # distance at which nothing more is tried, our choice
KEPT = 20


class _Fit(NamedTuple):
    distance: float
    unlikeness: float
    template: Template
    filling: dict[str, str]
    cell: Cell


def analogues(
    frames: Frames,
    knowledge: Knowledge,
    cells: Sequence[Cell],
    catalogue: Catalogue,
    *,
    system: str | None = None,
    seconds: float = 25.0,
    seed: int = 0,
    fit_lattice: bool = False,
) -> list[Candidate]:
    """Analogues in the cells that explain the pattern, best first; at most KEPT.

    Args:
        frames: of the measurement.
        system: crystal system, where it is known.
        seconds: after half of it no more types are screened, after all of it nothing more is refined.
        seed: of templates drawn and of shakes.
        fit_lattice: the cells are measured, so that they and the thermal motion are fitted too.
    """
    deadline = time.perf_counter() + seconds
    rng = np.random.default_rng(seed)
    fits = _screened(frames, knowledge, cells, catalogue, system, rng, deadline - seconds / 2)
    if knowledge.n_hidden is None:
        fits = [_named(fit, frames) for fit in _different(fits) if time.perf_counter() < deadline]
    candidates = []
    for number, fit in enumerate(_different(fits)):
        trial = _trial(fit)
        if fit_lattice or (number < REFINED and time.perf_counter() < deadline):
            trial = refine(trial, frames, STAGES, fit_lattice, fit_lattice)
        candidates.append(Candidate.of(trial, f"analogue of {fit.template.name}", frames))
    candidates.sort(key=lambda candidate: candidate.distance)
    if candidates and candidates[0].distance > GOOD:
        candidates[:SHAKEN] = [
            _shaken(candidate, frames, rng, deadline, fit_lattice) for candidate in candidates[:SHAKEN]
        ]
        candidates.sort(key=lambda candidate: candidate.distance)
    for place, candidate in enumerate(candidates[:POLISHED]):
        if time.perf_counter() < deadline:
            polished = refine(candidate.trial, frames, LAST_STAGE, fit_lattice, fit_lattice)
            candidates[place] = candidate.refined(polished, frames)
    return sorted(candidates[:KEPT], key=lambda candidate: candidate.score)


def _screened(frames, knowledge, cells, catalogue, system, rng, deadline) -> list[_Fit]:
    """Every type, cell and filling that the volume allows, by its distance up to s = LOW."""
    chosen = []
    for family in {cell.family for cell in cells}:
        for templates in catalogue.fitting(knowledge, family, system):
            chosen += _representatives(templates, knowledge, rng)
    chosen.sort(key=lambda pair: pair[1][0][0])
    fits = []
    for template, fillings in chosen:
        if time.perf_counter() > deadline:
            break
        for cell in cells:
            if cell.family != template.family:
                continue
            volume = cell.volume / template.n_points
            allowed = [pair for pair in fillings if _fills(template, pair[1], volume, catalogue)]
            if not allowed:
                continue
            frame = frames(template, cell.lattice, LOW)
            fillings_of_cell = [filling for _, filling in allowed]
            distances = frame.distances(fillings_of_cell, template.symbols, template.frac_coords)
            fits += [
                _Fit(float(distance), unlike, template, filling, cell)
                for distance, (unlike, filling) in zip(distances, allowed, strict=True)
            ]
    return fits


def _representatives(templates: list[Template], knowledge: Knowledge, rng) -> list:
    """Templates of a type with their fillings: one if all are alike but for the elements, else several."""
    ranked = [(template, knowledge.fillings(template)) for template in templates]
    ranked = sorted((pair for pair in ranked if pair[1]), key=lambda pair: pair[1][0][0])
    if not ranked or ranked[0][0].freedom.shape[2] == 0:
        return ranked[:1]
    rest = ranked[ALIKE:]
    drawn = rng.choice(len(rest), min(AT_RANDOM, len(rest)), replace=False) if rest else []
    return ranked[:ALIKE] + [rest[i] for i in drawn]


def _fills(template: Template, filling: dict[str, str], volume: float, catalogue: Catalogue) -> bool:
    amounts: Counter = Counter()
    for old, n in template.counts.items():
        amounts[filling[old]] += n
    return FILL[0] < volume / catalogue.volume(amounts) < FILL[1]


def _named(fit: _Fit, frames: Frames) -> _Fit:
    """With the elements that explain the intensities best, role by role: nothing was said of them."""
    template, filling, distance = fit.template, dict(fit.filling), fit.distance
    frame = frames(template, fit.cell.lattice, MIDDLE)
    for _ in range(ROUNDS):
        before = dict(filling)
        for role in filling:
            trials = [{**filling, role: symbol} for symbol in NATURAL]
            distances = frame.distances(trials, template.symbols, template.frac_coords)
            filling, distance = trials[int(distances.argmin())], float(distances.min())
        if filling == before:
            break
    return fit._replace(filling=filling, distance=distance)


def _different(fits: list[_Fit]) -> list[_Fit]:
    """The best SCREENED, at most two of each type, cell and order of elements."""
    seen: Counter = Counter()
    chosen = []
    for fit in sorted(fits, key=lambda fit: fit.distance):
        roles = {
            (letter, fit.filling[symbol])
            for letter, symbol in zip(fit.template.wyckoffs, fit.template.symbols.tolist(), strict=True)
        }
        kind = fit.template.key, tuple(sorted(roles)), round(fit.cell.a, 3), round(fit.cell.c, 3)
        seen[kind] += 1
        if seen[kind] <= 2:
            chosen.append(fit)
        if len(chosen) == SCREENED:
            break
    return chosen


def _trial(fit: _Fit) -> Trial:
    symbols = tuple(fit.filling[symbol] for symbol in fit.template.symbols.tolist())
    return Trial(fit.template, fit.cell.lattice, symbols, fit.template.frac_coords)


def _shaken(candidate: Candidate, frames: Frames, rng, deadline: float, fit_lattice: bool) -> Candidate:
    """The best of refinements from coordinates moved at random."""
    freedom = candidate.trial.template.freedom
    if freedom.shape[2] == 0:
        return candidate
    for size in SHAKES:
        if candidate.distance < GOOD or time.perf_counter() > deadline:
            break
        moved = candidate.trial.frac_coords + freedom @ rng.normal(0, size, freedom.shape[2])
        shaken = replace(candidate.trial, frac_coords=moved)
        new = Candidate.of(refine(shaken, frames, STAGES, fit_lattice, fit_lattice), candidate.origin, frames)
        candidate = min(candidate, new, key=lambda either: either.distance)
    return candidate
