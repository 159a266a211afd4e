"""How many structure types a second have their cells fitted to a whole profile, on one core.

    python tests/benchmarks/whole_profile.py [FORMULA]

The pattern is simulated from the first type that the package has of the formula; every other type of it is
fitted to that. What bounds the rate: reflections times starts times steps, in single precision.
"""

from __future__ import annotations

import sys
import time

import torch

from crystalnet.lattice.whole_profile import STAGES, STARTS, fitted
from crystalnet.patterns.peaks import fit_peaks
from crystalnet.patterns.profile import Profile
from crystalnet.patterns.simulation import simulated
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.profile_search import filled, lines_of, usual
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.sources import embedded


def main(formula: str) -> None:
    torch.set_num_threads(1)
    trials = [usual(one) for one in filled(Knowledge.of(formula), embedded(), None)]
    profile = Profile.of(fit_peaks(simulated(structure_of(trials[0].atoms), "CuKa1", (10, 90))))
    began = time.perf_counter()
    lines = [lines_of(trial, profile) for trial in trials]
    drawn = time.perf_counter()
    fits = fitted(profile, lines)
    ended = time.perf_counter()
    best = min(fits, key=lambda place: fits[place].distance)
    print(f"{formula}: {len(trials)} types, {sum(len(one.squares) for one in lines)} reflections")
    took = f"{STARTS[0]} starts or more at {len(STAGES)} widths {ended - drawn:.2f} s"
    print(f"intensities {drawn - began:.2f} s, {took}")
    print(f"{len(trials) / (ended - began):.0f} types a second and core")
    print(f"nearest: {trials[best].template.name}, distance {fits[best].distance:.3f}; it began as the first")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["CaTiO3"])
