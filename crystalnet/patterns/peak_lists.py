"""Peaks that a person types or pastes: an angle and an intensity a line."""

from __future__ import annotations

import re

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.diffraction import Peaks


def peaks_of_text(text: str, wavelength: float) -> Peaks:
    """Peaks from lines of two_theta in degrees and intensity on any scale.

    Blanks, commas or semicolons part the two, further columns are left out, and `#` begins a remark.

    Args:
        wavelength: Å.

    Raises:
        CrystalNetError: a line of anything else, an angle outside 0-180 degrees, or no line at all.
    """
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s,;]+", line.split("#")[0].strip())
        if words == [""]:
            continue
        try:
            two_theta, intensity = float(words[0]), float(words[1])
        except (ValueError, IndexError):
            two_theta = intensity = np.nan
        if not (0 < two_theta < 180 and 0 <= intensity < np.inf):
            raise CrystalNetError(
                f"Line {number} of the peaks, {line.strip()[:40]!r}, is no angle within 0-180 degrees and"
                " intensity. Write them like '28.44 100'.",
                Code.BAD_PEAKS,
            )
        rows.append((two_theta, intensity))
    if not rows:
        raise CrystalNetError(
            "The list of peaks is empty. Write a line a peak, like '28.44 100'.", Code.BAD_PEAKS
        )
    two_theta, intensity = np.array(sorted(rows)).T
    return Peaks(two_theta, intensity, wavelength / (2 * np.sin(np.radians(two_theta / 2))))
