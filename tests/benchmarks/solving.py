"""Candidates scored a second, beside pymatgen's XRDCalculator, and whole solves of embedded crystals.

OMP_NUM_THREADS=1 python tests/benchmarks/solving.py

A candidate is scored by its pattern up to s = 0.9 1/Å. Solved are crystals made of the embedded structure
types with other elements, the types themselves being the catalogue. Times are the best of some repeats, of
solves the median and the longest of one each.
"""

import time

import numpy as np
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystalnet.data.prototypes import prototype_crystals
from crystalnet.hardware import description
from crystalnet.patterns.observed import Observed
from crystalnet.physics.diffraction import MO_K_ALPHA
from crystalnet.scoring.challenges import CHALLENGES, observation
from crystalnet.solving.candidates import MIDDLE
from crystalnet.solving.frames import Frames
from crystalnet.solving.refinement import STAGES, Trial, refine
from crystalnet.solving.solution import solve
from crystalnet.solving.sources import embedded
from crystalnet.solving.templates import Template

N_CRYSTALS = 8
FILLINGS = 24
SHAKE = 0.02  # of a cell edge


def best_of(function, repeats: int = 5) -> float:
    """Seconds of the fastest call, after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def scoring(crystals) -> None:
    head = f"{'one candidate':18}{'atoms':>6}{'pymatgen ms':>13}{'ours ms':>9}{'of many ms':>12}"
    print(f"{head}{'ratios':>13}{'refined ms':>12}")
    highest = 2 * np.degrees(np.arcsin(MIDDLE * MO_K_ALPHA))
    calculator = XRDCalculator(wavelength=MO_K_ALPHA)
    for crystal in crystals:
        template = Template.of(crystal.atoms)
        frames = Frames(Observed.of_structure(crystal.symmetrized))
        frame = frames(template, template.lattice, MIDDLE)
        symbols, coords = template.symbols, template.frac_coords
        same = {symbol: symbol for symbol in symbols.tolist()}
        slow = best_of(lambda: calculator.get_pattern(crystal.structure, two_theta_range=(0, highest)), 1)  # noqa: B023
        alone = best_of(lambda: frame.distance(symbols, coords))  # noqa: B023
        many = best_of(lambda: frame.distances([same] * FILLINGS, symbols, coords)) / FILLINGS  # noqa: B023
        moved = coords + template.freedom @ np.full(template.freedom.shape[2], SHAKE)
        trial = Trial(template, template.lattice, tuple(symbols.tolist()), moved)
        refined = best_of(lambda: refine(trial, frames, STAGES))  # noqa: B023
        print(
            f"{crystal.formula:18}{len(symbols):6}{slow * 1e3:13.1f}{alone * 1e3:9.2f}{many * 1e3:12.3f}"
            f"{slow / alone:6.0f} {slow / many:6.0f}{refined * 1e3:12.1f}",
            flush=True,
        )


def solves(system: str, crystals) -> None:
    for name in ("exact", "laboratory, to 120 degrees"):
        seconds, right = [], 0
        for crystal in crystals:
            observed = observation(crystal, CHALLENGES[name])
            solution = solve(
                observed,
                crystal.composition,
                None,
                system,
                sources=["analogues"],
                progress=False,
            )
            seconds.append(solution.seconds)
            right += bool(solution.candidates) and StructureMatcher().fit(
                solution.structure, crystal.structure
            )
        print(
            f"{system:10}{name:28}{np.median(seconds):8.1f}{max(seconds):9.1f}{right:6} of {len(crystals)}",
            flush=True,
        )


if __name__ == "__main__":
    print(f"{description()}\n")
    chosen = {system: prototype_crystals(system, N_CRYSTALS) for system in ("cubic", "trigonal")}
    embedded()  # set up once
    scoring(chosen["cubic"][:3] + chosen["trigonal"][:3])
    print(f"\n{'solve':38}{'median s':>8}{'longest s':>9}{'right':>6}")
    for system, crystals in chosen.items():
        solves(system, crystals)
