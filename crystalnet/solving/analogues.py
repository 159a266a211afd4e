"""Analogues: known structure types in the measured cell, with the sample's elements in the types' roles.

So a crystallographer would begin, and most new compounds are found so. The search goes from cheap to dear:
every fitting type, cell and order of elements by its low angles; the best by more of the pattern, with free
coordinates refined; the best of those once more from shaken coordinates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crystalnet.lattice.lattice import Cell
from crystalnet.lattice.volumes import fills
from crystalnet.solving.candidates import LOW, MIDDLE, Candidate, priced
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.naming import completions, named
from crystalnet.solving.refinement import LAST_STAGE, STAGES, Trial, refine
from crystalnet.solving.templates import Template

ALIKE, AT_RANDOM = 5, 2  # templates of a type with free coordinates: most alike, and drawn; our choice
SCREENED = 40  # candidates that the low angles leave, our choice
NAMED = 80  # fits with unnamed elements whose elements are looked for at low angles, our choice
FEW_CELLS = 4  # that these are looked for in, our choice: true cells are the first almost always
REFINED = 14  # of these that are refined, our choice
SHAKEN, SHAKES = 5, (0.025, 0.025, 0.025, 0.06, 0.06)  # candidates, and how far in cell edges; our choice
POLISHED = 6
RENAMED = 2  # times that unnamed elements are told anew after coordinates were refined, our choice
GOOD = 0.02  # distance at which nothing more is tried, our choice
KEPT = 20


class _Fit(NamedTuple):
    distance: float
    template: Template
    told: dict[str, str | None]  # what the template's elements become; None where nobody said it
    filling: dict[str, str]  # the same, with what the intensities say
    cell: Cell

    @property
    def unnamed(self) -> list[str]:
        return [role for role, symbol in self.told.items() if symbol is None]


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

    >>> from crystalnet.data.crystals import crystal_from_structure
    >>> from crystalnet.lattice.lattice import find_cells
    >>> from crystalnet.patterns.observed import Observed
    >>> from crystalnet.physics.atoms import Atoms
    >>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> salt, other = (Atoms(a / 2 * (1 - np.eye(3)), places, np.array(pair))
    ...     for a, pair in ((5.64, ["Na", "Cl"]), (4.21, ["Mg", "O"])))
    >>> observed = Observed.of_structure(salt)
    >>> known = Catalogue([crystal_from_structure(other, "magnesia")])
    >>> found = analogues(Frames(observed), Knowledge.of("NaCl"), find_cells(observed), known)
    >>> found[0].trial.symbols, found[0].distance < GOOD
    (('Na', 'Cl'), True)
    """
    deadline = time.perf_counter() + seconds
    rng = np.random.default_rng(seed)
    fits = _screened(
        frames, knowledge, cells, catalogue, system=system, rng=rng, deadline=deadline - seconds / 2
    )
    if knowledge.n_hidden == 0:
        fits = _different(fits, lambda fit: fit.distance, SCREENED)
    else:
        rank = _rank(frames)
        fits = [_named(fit, frames, LOW, deadline) for fit in _different(fits, rank, NAMED)]
        fits = [_named(fit, frames, MIDDLE, deadline) for fit in sorted(fits, key=rank)[:SCREENED]]
        fits.sort(key=rank)
    candidates = []
    for number, fit in enumerate(fits):
        trial = _trial(fit)
        if fit_lattice or (number < REFINED and time.perf_counter() < deadline):
            trial = refine(trial, frames, STAGES, fit_lattice, fit_lattice)
            for _ in range(RENAMED if fit.unnamed else 0):
                fit = _named(fit, frames, MIDDLE, deadline, trial.frac_coords)
                trial = refine(_trial(fit, trial.frac_coords), frames, STAGES, fit_lattice, fit_lattice)
        origin = f"analogue of {fit.template.name}"
        candidates.append(Candidate.of(trial, origin, frames, len(fit.unnamed)))
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


def _screened(frames, knowledge, cells, catalogue, *, system, rng, deadline) -> list[_Fit]:
    """Every type, cell and filling that the volume allows, by its distance up to s = LOW.

    Of the elements that a filling leaves open the best are kept, from a few far apart.
    """
    chosen = []
    for family in {cell.family for cell in cells}:
        for templates in catalogue.fitting(knowledge, family, system):
            chosen += _representatives(templates, knowledge, rng)
    cells = cells if knowledge.n_hidden == 0 else cells[:FEW_CELLS]
    places = [(pair, cell) for pair in chosen for cell in cells if cell.family == pair[0].family]
    if knowledge.n_hidden == 0:
        places.sort(key=lambda place: place[0][1][0][0])  # the likeliest elements first
    else:  # the likeliest cell, the simplest type
        rank = {id(cell): number for number, cell in enumerate(cells)}
        size = {id(pair): (pair[0].freedom.shape[2], len(pair[0].symbols)) for pair in chosen}
        places.sort(key=lambda place: (rank[id(place[1])], *size[id(place[0])]))
    fits = []
    for (template, fillings), cell in places:
        if time.perf_counter() > deadline:
            break
        volume = cell.volume / template.n_points
        allowed = [told for _, told in fillings if fills(_amounts(template, told), volume)]
        complete = [(k, filling) for k, told in enumerate(allowed) for filling in completions(told)]
        if not complete:
            continue
        orders, some = zip(*complete, strict=True)
        distances = frames(template, cell.lattice, LOW).distances(
            some, template.symbols, template.frac_coords
        )
        nearest = np.lexsort((distances, orders))
        for best in nearest[np.unique(np.array(orders)[nearest], return_index=True)[1]]:
            told = allowed[orders[best]]
            fits.append(_Fit(float(distances[best]), template, told, some[best], cell))
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


def _amounts(template: Template, told: dict[str, str | None]) -> Counter:
    """Atoms of each element in a primitive cell, those that nobody named under None."""
    amounts: Counter = Counter()
    for old, n in template.counts.items():
        amounts[told[old]] += n
    return amounts


def _named(fit: _Fit, frames: Frames, highest: float, deadline: float, frac_coords=None) -> _Fit:
    """With the elements that explain the intensities best where nobody named them, while there is time."""
    if not fit.unnamed or time.perf_counter() > deadline:
        return fit
    coords = fit.template.frac_coords if frac_coords is None else frac_coords
    frame = frames(fit.template, fit.cell.lattice, highest)
    filling, distance = named(frame, fit.template, coords, fit.told, fit.filling)
    return fit._replace(filling=filling, distance=distance)


def _rank(frames: Frames) -> Callable[[_Fit], float]:
    """What fits with unnamed elements are sorted by: they explain much, so that each parameter has its price
    as in `candidates`."""
    n_peaks = len(frames.observed.s)
    return lambda fit: priced(fit.distance, _trial(fit).n_parameters + len(fit.unnamed), n_peaks)


def _different(fits: list[_Fit], rank: Callable[[_Fit], float], most: int) -> list[_Fit]:
    """The best so many, at most two of each type, cell and order of elements."""
    seen: Counter = Counter()
    chosen = []
    for fit in sorted(fits, key=rank):
        template = fit.template
        roles = {
            (letter, fit.told[symbol] or "")
            for letter, symbol in zip(template.wyckoffs, template.symbols.tolist(), strict=True)
        }
        kind = template.key, tuple(sorted(roles)), round(fit.cell.a, 3), round(fit.cell.c, 3)
        seen[kind] += 1
        if seen[kind] <= 2:
            chosen.append(fit)
        if len(chosen) == most:
            break
    return chosen


def _trial(fit: _Fit, frac_coords: np.ndarray | None = None) -> Trial:
    symbols = tuple(fit.filling[symbol] for symbol in fit.template.symbols.tolist())
    coords = fit.template.frac_coords if frac_coords is None else frac_coords
    return Trial(fit.template, fit.cell.lattice, symbols, coords)


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
        new = candidate.changed(refine(shaken, frames, STAGES, fit_lattice, fit_lattice), frames)
        candidate = min(candidate, new, key=lambda either: either.distance)
    return candidate
