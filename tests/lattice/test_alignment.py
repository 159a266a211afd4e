"""Shifts of zero and sample height: told from the cell, taken off, and the cell is right again."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.lattice.alignment import aligned, indexed, shifts
from crystalnet.lattice.lattice import find_cells
from crystalnet.patterns.observed import Observed
from crystalnet.physics.diffraction import powder_peaks

WAVELENGTH, RANGE = 1.5406, (10, 120)
CRYSTALS = {
    "cubic": Structure.from_spacegroup(
        221, Lattice.cubic(4.1568), ["La", "B"], [[0, 0, 0], [0.1975, 0.5, 0.5]]
    ),
    "hexagonal": Structure.from_spacegroup(
        152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.7858]]
    ),
    "tetragonal": Structure.from_spacegroup(
        136, Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ),
}


def measured(family: str, z: float, d: float) -> tuple[Observed, np.ndarray]:
    """Strong peaks with both shifts, and where they would be without."""
    two_theta, intensity, _ = powder_peaks(CRYSTALS[family], WAVELENGTH, (12, 118))
    strong = intensity > 2
    two_theta, intensity = two_theta[strong], intensity[strong]
    true = Observed.of_peaks((two_theta, intensity), WAVELENGTH, RANGE)
    moved = two_theta + z + d * np.cos(np.radians(two_theta / 2))
    return Observed.of_peaks((moved, intensity), WAVELENGTH, RANGE), true.s


@pytest.mark.parametrize("family", CRYSTALS)
@pytest.mark.parametrize(("z", "d"), [(0.03, 0.0), (0.0, -0.09), (-0.02, 0.06)])
def test_both_shifts_are_taken_off(family, z, d):
    shifted, true = measured(family, z, d)
    straight, cells = indexed(shifted, family)
    off, before = np.abs(straight.s - true).max(), np.abs(shifted.s - true).max()
    assert off < 0.25 * before  # z, d and the cell are much alike: a rest stays between them
    a, c = CRYSTALS[family].lattice.a, CRYSTALS[family].lattice.c
    assert cells[0].a == pytest.approx(a, rel=2e-4)
    assert cells[0].c == pytest.approx(c, rel=2e-4)


@pytest.mark.parametrize("family", CRYSTALS)
def test_peaks_in_their_places_stay(family):
    straight, _ = measured(family, 0, 0)
    cell = find_cells(straight, family)[0]
    assert shifts(straight, cell) == pytest.approx((0, 0), abs=2e-3)
    assert np.abs(aligned(straight, cell).s - straight.s).max() < 1e-5


def test_exact_and_few_peaks_are_left_alone():
    exact = Observed.of_structure(CRYSTALS["cubic"])
    assert indexed(exact, "cubic")[0] is exact
    shifted, _ = measured("cubic", 0.05, 0)
    few = replace(shifted, s=shifted.s[:5], intensity=shifted.intensity[:5])
    assert shifts(few, find_cells(few, "cubic")[0]) == (0, 0)
