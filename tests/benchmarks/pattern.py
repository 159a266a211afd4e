"""Powder patterns: ours beside pymatgen's XRDCalculator, one thread each, best of some repeats.

OMP_NUM_THREADS=1 python tests/benchmarks/pattern.py
"""

import time

import numpy as np
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from crystalnet.physics.diffraction import MO_K_ALPHA, powder_peaks

REPEATS = 3
CRYSTALS = {
    "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
    "Cu2MnAl": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.95), ["Al", "Mn", "Cu"], [[0, 0, 0], [0.5] * 3, [0.25] * 3]
    ),
    "MgAl2O4, spinel": Structure.from_spacegroup(  # origin choice 1, as pymatgen's Fd-3m
        "Fd-3m", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[0, 0, 0], [0.625] * 3, [0.387] * 3]
    ),
    "Mg3Al2Si3O12, garnet": Structure.from_spacegroup(
        "Ia-3d",
        Lattice.cubic(11.46),
        ["Mg", "Al", "Si", "O"],
        [[0.125, 0, 0.25], [0, 0, 0], [0.375, 0, 0.25], [0.033, 0.0503, 0.6534]],
    ),
}


def timed(function, structure):
    """The result and the fastest of some calls, s."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = function(structure)
        times.append(time.perf_counter() - started)
    return result, min(times)


if __name__ == "__main__":
    calculator = XRDCalculator(wavelength=MO_K_ALPHA)
    print(
        f"{'crystal':22}{'atoms':>6}{'peaks':>7}{'pymatgen s':>12}{'ours s':>9}{'ratio':>7}{'differs by':>12}"
    )
    for name, structure in CRYSTALS.items():
        theirs, slow = timed(lambda s: calculator.get_pattern(s, two_theta_range=(0, 180)), structure)
        ours, fast = timed(powder_peaks, structure)
        difference = np.abs(theirs.y - ours.intensity).max()  # per cent of the highest peak
        print(
            f"{name:22}{len(structure):6}{len(ours.intensity):7}{slow:12.3f}{fast:9.4f}{slow / fast:7.0f}"
            f"{difference:12.1e}",
            flush=True,
        )
