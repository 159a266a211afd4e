"""The lines of a pattern and of a structure: which of them the other lacks, and the list with h k l."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Structure

from crystalnet.patterns.observed import Observed
from crystalnet.physics.diffraction import INTENSITY_TOLERANCE, powder_peaks
from crystalnet.solving.report.section import Section
from crystalnet.solving.solution import Solution

SHIFTED = 0.3  # degrees, our choice: how far a whole pattern may be shifted
NEAR = 0.15  # degrees, our choice: within which a line and a reflection are one, or the peak's full width
WEAK, STRONG = 0.3, 3.0  # percent of the highest, our choice: less is not told of as a line; a missing one


class Strangers(NamedTuple):
    """Lines that the structure does not explain and reflections that the pattern lacks: angles in degrees and
    heights in percent of the highest, (P, 2) and (Q, 2); and the shift of the pattern, in degrees."""

    unexplained: np.ndarray
    missing: np.ndarray
    shift: float


def strange(solution: Solution, structure: Structure) -> Strangers:
    """Lines without a reflection and reflections without a line."""
    observed = solution.observed
    measured, height = (
        observed.peaks.two_theta,
        100 * observed.peaks.intensity / observed.peaks.intensity.max(),
    )
    low, high = float(measured.min()), float(measured.max())
    peaks = powder_peaks(structure, observed.wavelength, (max(low - 1, 0.0), min(high + 1, 180.0)))
    apart = measured[:, None] - peaks.two_theta
    nearest = apart[np.arange(len(measured)), np.abs(apart).argmin(1)]
    close = np.abs(nearest) < SHIFTED
    shift = float(np.median(nearest[close])) if close.any() else 0.0
    near = np.maximum(NEAR, _widths(solution, len(measured)))
    met = np.abs(apart - shift) < near[:, None]
    seen = max(STRONG, 300 * observed.weakest)
    inside = (peaks.two_theta >= low - NEAR) & (peaks.two_theta <= high + NEAR)
    alone = ~met[:, peaks.intensity > INTENSITY_TOLERANCE].any(1) & (height > WEAK)
    lacking = ~met.any(0) & (peaks.intensity > seen) & inside
    return Strangers(
        np.stack([measured, height], 1)[alone],
        np.stack([peaks.two_theta + shift, peaks.intensity], 1)[lacking],
        shift,
    )


def _widths(solution: Solution, n: int) -> np.ndarray:
    """Full width of each peak, degrees; 0 where peaks came as a list."""
    return solution.fit.peaks.width if solution.fit and len(solution.fit.peaks.width) == n else np.zeros(n)


def strangers(found: Strangers) -> Section:
    """What of the pattern the structure does not explain, and what it shows too much."""
    rows = [
        {"2θ (°)": f"{angle:.2f}", "height (%)": f"{height:.1f}", "": what}
        for what, lines in (("unexplained", found.unexplained), ("missing", found.missing))
        for angle, height in lines
    ]
    if not rows:
        said = (
            "Every line of the pattern is near a reflection of the structure, and no strong one lacks a line."
        )
        return Section("Unexplained and missing lines", remarks=(said,))
    said = (
        f"{len(found.unexplained)} lines of the pattern have no reflection of the structure near them;"
        f" {len(found.missing)} reflections of at least {STRONG:g} % have no line: of a second phase, or of"
        " another structure."
    )
    return Section("Unexplained and missing lines", table=pd.DataFrame(rows), remarks=(said,))


def listed(structure: Structure, observed: Observed) -> pd.DataFrame:
    """Reflections within the measured angles: h k l of the conventional cell, d, 2θ, calculated intensity."""
    angles = observed.peaks.two_theta
    low, high = max(float(angles.min()) - 1, 0.0), min(float(angles.max()) + 1, 180.0)
    peaks = XRDCalculator(observed.wavelength).get_pattern(structure, two_theta_range=(low, high))
    return pd.DataFrame(
        {
            "h k l": [", ".join(" ".join(map(str, one["hkl"])) for one in some) for some in peaks.hkls],
            "multiplicity": [sum(one["multiplicity"] for one in some) for some in peaks.hkls],
            "d (Å)": np.round(peaks.d_hkls, 4),
            "2θ (°)": np.round(peaks.x, 3),
            "intensity": np.round(peaks.y, 2),
        }
    )


def reflections(table: pd.DataFrame, most: int) -> Section:
    """The first `most` of `listed`, by angle."""
    said = (f"The first {most} of {len(table)}; reflections.csv has all.",) * (len(table) > most)
    return Section("Reflections", table=table.head(most), remarks=said)
