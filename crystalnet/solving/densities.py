"""Candidates that need no template: atoms in the network's density, and in maps phased from it.

The network answers in the canonical cell of a space group that is not known yet. A lattice has few of them,
and the peaks that are absent leave fewer; all that remain are tried.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import moyopy
import numpy as np
import torch
from pymatgen.core import Composition

from crystalnet.data.crystals import composition_vector
from crystalnet.errors import CrystalNetError
from crystalnet.lattice.lattice import Cell, centrings
from crystalnet.lattice.volumes import fills, usual_volume
from crystalnet.model.network import DensityNetwork
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.profiles import log_profile
from crystalnet.solving.atoms import atoms_from_density, pattern_distance
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.frames import Frames
from crystalnet.solving.groups import space_groups
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.phasing import phase
from crystalnet.solving.refinement import LAST_STAGE, STAGES, Trial, refine
from crystalnet.solving.templates import Template

STARTS = 4  # of each phasing; the network's answer and three samples; our choice
PHASINGS = {"phasing": (2, 2), "seeded": (STARTS, 0), "random": (0, STARTS)}  # starts: network, random
CONTENTS = 3  # cells, centrings and numbers of formula units that are tried, our choice
LOCKED_IN = 0.05  # distance of unrefined atoms at which no other lattice is tried, our choice
REFINED = 10  # atoms that are refined, our choice
MOST_ATOMS = 60  # in the primitive cell, our choice: maps of more do not lock in
HALL_NUMBERS = {"P": 517, "I": 529, "F": 523, "R": 458}  # of a space group with each centring


def from_density(
    frames: Frames,
    knowledge: Knowledge,
    cells: Sequence[Cell],
    network: DensityNetwork | None,
    *,
    ways: Sequence[str] = ("network", "phasing"),
    seconds: float = 20.0,
    seed: int = 0,
) -> list[Candidate]:
    """Candidates from a map, best first.

    Args:
        frames: of the measurement.
        knowledge: a complete composition: without one no map says which atoms are which.
        cells: that explain the peaks, the best first.
        network: trained on canonical cells of profiles; None for random starts.
        ways: 'network' takes the atoms of the network's density as they are; the PHASINGS iterate with the
            measured amplitudes: 'seeded' begins with the network's phases, 'random' with random ones, and
            'phasing' with both, which succeed on different crystals.
        seconds: after which no further cell is begun, and nothing more refined.
        seed: of samples and random starts.
    """
    observed, deadline = frames.observed, time.perf_counter() + seconds
    seeds = None if network is None else _answers(network, observed, knowledge, seed)
    found: list[tuple[float, Atoms, str]] = []
    for lattice, counts in _contents(observed, knowledge, cells):
        if "network" in ways and seeds is not None:
            for atoms in atoms_from_density(seeds[0].numpy(), lattice, counts):
                found.append((pattern_distance(atoms, observed), atoms, "network"))
        for way, (n_seeds, n_random) in PHASINGS.items():
            if way not in ways or time.perf_counter() > deadline or (n_seeds and seeds is None):
                continue
            start = {"seeds": seeds[:n_seeds] if n_seeds else None, "n_random": n_random, "seed": seed}
            try:
                phased = phase(observed, lattice, counts, groups=space_groups(lattice, observed), **start)
            except CrystalNetError:
                continue  # this lattice has none of the peaks, or no room for the atoms: no candidate
            found += [(away, atoms, way) for away, atoms in phased.atoms]
            if found and min(away for away, *_ in found) < LOCKED_IN:
                break
    return _refined(sorted(found, key=lambda entry: entry[0]), frames, deadline)


def primitive(cell: Cell, centring: str) -> np.ndarray:
    """The primitive cell (3, 3) rows, Å, in the description of `data.canonical`.

    >>> from crystalnet.lattice.lattice import find_cells
    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> cell = find_cells(Observed.of_structure(iron))[0]
    >>> float(np.linalg.det(primitive(cell, "I")).round(1)), round(cell.a**3 / 2, 1)
    (11.8, 11.8)
    """
    linear = np.round(moyopy.HallSymbolEntry(HALL_NUMBERS[centring]).centering.linear)
    return np.linalg.solve(linear.T, cell.lattice)


def inputs_of(observed: Observed, knowledge: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """What a network reads: the profile (768,) of the peaks and the composition (118,).

    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> profile, composition = inputs_of(Observed.of_structure(iron), Knowledge.of("Fe"))
    >>> profile.shape, np.flatnonzero(composition).tolist()  # iron is the 26th element
    ((768,), [25])
    """
    return log_profile(observed.peaks), composition_vector(Composition(knowledge.formula))


def _answers(network: DensityNetwork, observed: Observed, knowledge: Knowledge, seed: int) -> torch.Tensor:
    """The network's answer and samples, (STARTS, n, n, n)."""
    inputs = inputs_of(observed, knowledge)
    samples = network.predict(*inputs, n_samples=STARTS - 1, seed=seed)
    return torch.cat([network.answer(*inputs)[None], samples])


def _contents(
    observed: Observed, knowledge: Knowledge, cells: Sequence[Cell]
) -> list[tuple[np.ndarray, Mapping[str, int]]]:
    """Primitive lattices with the atoms that they may hold, the likeliest first."""
    unit, each = knowledge.formula, usual_volume(knowledge.formula)
    offers = []
    for place, cell in enumerate(cells):
        for centring in centrings(cell, observed):
            lattice = primitive(cell, centring)
            volume = abs(np.linalg.det(lattice))
            for units in {max(1, round(volume / each)), max(1, int(volume / each))}:
                misfit = abs(np.log(volume / (units * each)))
                counts = {element: n * units for element, n in unit.items()}
                if fills(counts, volume) and sum(counts.values()) <= MOST_ATOMS:
                    offers.append((place + 5 * misfit, lattice, counts))
    offers.sort(key=lambda offer: offer[0])
    return [offer[1:] for offer in offers[:CONTENTS]]


def _refined(found, frames: Frames, deadline: float) -> list[Candidate]:
    """The best atoms as candidates, refined, best first."""
    candidates, measured = [], not frames.observed.exact
    for _, atoms, origin in found[:REFINED]:
        try:
            template = Template.of(atoms)
        except CrystalNetError:
            continue  # the atoms do not have the symmetry of the lattice
        trial = Trial(template, template.lattice, tuple(template.symbols.tolist()), template.frac_coords)
        if time.perf_counter() < deadline:
            trial = refine(trial, frames, STAGES + LAST_STAGE, measured, measured)
        candidates.append(Candidate.of(trial, origin, frames))
    return sorted(candidates, key=lambda candidate: candidate.score)
