"""What a caller asks of the solver, read and checked once: what cannot be is one error, before any work."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from crystalnet.data.crystals import CRYSTAL_SYSTEMS
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured, read_pattern
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.peaks import PeakFit, fit_peaks
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.diffraction import Peaks
from crystalnet.solving.densities import PHASINGS
from crystalnet.solving.sources import SOURCES

Pattern = str | Path | Measured | Peaks | Observed


def pattern_of(
    said: Pattern, wavelength: float | str | None = None, scan: int | None = None
) -> tuple[str, Observed, PeakFit | None]:
    """Name and peaks of a pattern, and the fit that they come from if it came as a profile.

    Raises:
        CrystalNetError: no pattern, no peaks in it, or no wavelength.
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
