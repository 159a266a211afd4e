"""What a caller asks of the solver, read and checked once: what cannot be is one error, before any work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice
from pymatgen.symmetry.groups import SpaceGroup

from crystalnet.data.crystals import CRYSTAL_SYSTEMS
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured, read_pattern
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.peaks import PeakFit, fit_peaks
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.diffraction import Peaks
from crystalnet.solving.densities import PHASINGS
from crystalnet.solving.given_cell import GivenCell
from crystalnet.solving.sources import SOURCES

SHORTEST, LONGEST = 1.5, 200.0  # Å, of a given cell's axes, our choice
FLAT = 1e-4  # squared volume of a given cell with axes of length 1, our choice

Pattern = str | Path | Measured | Peaks | Observed


def pattern_of(
    said: Pattern, wavelength: float | str | None = None, scan: int | None = None
) -> tuple[str, Observed, PeakFit | None]:
    """Name and peaks of a pattern, and the fit that they come from if it came as a profile.

    Raises:
        CrystalNetError: no pattern, no peaks in it, or no wavelength.

    >>> silver = Peaks(np.array([38.2, 44.4]), np.array([100.0, 45.0]), np.array([2.354, 2.039]))
    >>> name, observed, fit = pattern_of(silver, "CuKa1")
    >>> name, float((1 / (2 * observed.s[0])).round(3)), fit  # d of 111 of silver
    ('peaks', 2.354, None)
    """
    wavelength = wavelength_of(wavelength)
    if isinstance(said, Observed):
        return "pattern", said, None
    if isinstance(said, Peaks):
        return "peaks", Observed.of_peaks(said, *[wavelength] if wavelength else []), None
    measured = said if isinstance(said, Measured) else read_pattern(said, wavelength, scan=scan)
    fit = fit_peaks(measured, wavelength)
    return measured.name, fit.observed(), fit


def system_of(said: str | None) -> str | None:
    """A crystal system, or None for all of them.

    >>> system_of("cubic")
    'cubic'

    Raises:
        CrystalNetError: there is no such one.
    """
    if said is not None and said not in CRYSTAL_SYSTEMS:
        raise CrystalNetError(
            f"{said!r}: there is no such crystal system. Choose one of"
            f" {', '.join(CRYSTAL_SYSTEMS)}, or None.",
            Code.BAD_ARGUMENT,
        )
    return said


def sources_of(said: str | Iterable[str]) -> tuple[str, ...]:
    """Sources of candidates, in the order in which they are asked.

    >>> sources_of("analogues")
    ('analogues',)

    Raises:
        CrystalNetError: none, or one that there is not.
    """
    sources = (said,) if isinstance(said, str) else tuple(said)
    unknown = [source for source in sources if source not in (*SOURCES, *PHASINGS)]
    if unknown or not sources:
        reason = f"There is no source {unknown[0]!r}" if unknown else "No source of candidates is named"
        raise CrystalNetError(
            f"{reason}. Choose some of {', '.join(dict.fromkeys((*SOURCES, *PHASINGS)))}.", Code.BAD_ARGUMENT
        )
    return sources


def cell_of(said: Sequence[float] | None, space_group: int | str | None = None) -> GivenCell | None:
    """A cell that the caller knows, or None.

    >>> cell_of((5, 5, 7, 90, 90, 120), "P6_3mc").space_group
    186

    Args:
        said: a, b, c in Å and alpha, beta, gamma in degrees.
        space_group: number or Hermann-Mauguin symbol.

    Raises:
        CrystalNetError: six numbers that make no cell, no such group, or a group without a cell.
    """
    if said is None:
        if space_group is not None:
            raise CrystalNetError(
                "A space group is used with a cell. Give cell=(a, b, c, alpha, beta, gamma) too.",
                Code.BAD_ARGUMENT,
            )
        return None
    try:
        numbers = [float(number) for number in said]
        lengths, angles = numbers[:3], numbers[3:]
        fine = len(numbers) == 6 and all(map(math.isfinite, numbers))
        fine = fine and min(lengths) >= SHORTEST and max(lengths) <= LONGEST
        fine = fine and all(0 < angle < 180 for angle in angles)
        flat = not fine or _flat(angles)
    except (TypeError, ValueError):
        flat = True
    if flat:
        raise CrystalNetError(
            f"{str(said)[:80]} is no cell. Give a, b, c from {SHORTEST} to {LONGEST} Å and alpha,"
            " beta, gamma in degrees, such as (4.9, 4.9, 5.4, 90, 90, 120).",
            Code.BAD_ARGUMENT,
        )
    return GivenCell(Lattice.from_parameters(*numbers).matrix.copy(), _group_of(space_group))


def _flat(angles: Sequence[float]) -> bool:
    """Whether three axes at these angles span no volume."""
    a, b, c = np.cos(np.radians(angles))
    return 1 - a * a - b * b - c * c + 2 * a * b * c < FLAT


def _group_of(said: int | str | None) -> int | None:
    if said is None:
        return None
    try:
        number = int(said)
    except (TypeError, ValueError):
        try:
            number = SpaceGroup(str(said)).int_number
        except ValueError:
            number = 0
    if not 1 <= number <= 230:
        raise CrystalNetError(
            f"{str(said)[:20]!r} is no space group. Give a number from 1 to 230, or a symbol such as"
            " 'P6_3mc'.",
            Code.BAD_ARGUMENT,
        )
    return number


def seconds_of(said: float) -> float:
    """A time that work may take.

    >>> seconds_of(30)
    30.0

    Raises:
        CrystalNetError: no positive number.
    """
    number = isinstance(said, int | float) and not isinstance(said, bool)
    if not (number and 0 < said < math.inf):
        raise CrystalNetError(
            f"{said!r} is no time that a source may take. Give seconds above 0, such as 30.",
            Code.BAD_ARGUMENT,
        )
    return float(said)
