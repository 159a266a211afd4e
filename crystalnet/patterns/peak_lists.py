"""Peaks that a person types or pastes: an angle and an intensity a line."""

from __future__ import annotations

import re

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.diffraction import Peaks

MOST = 10_000  # lines, our choice
_DECIMAL_COMMA = re.compile(r"\d+,\d+(?:[eE][+-]?\d+)?")


def peaks_of_text(text: str, wavelength: float | str) -> Peaks:
    r"""Peaks from lines of two_theta in degrees and intensity on any scale.

    Blanks, commas or semicolons part the two, further columns are left out, and `#` begins a remark. Commas
    are decimal ones where blanks or semicolons part the columns.

    Args:
        wavelength: Å, or a name.

    Raises:
        CrystalNetError: a line of anything else, an angle outside 0-180 degrees, commas that may be either,
            or no line at all.

    >>> peaks_of_text("28,44 100\n47,30 55  # the second", "CuKa1").d_spacing.round(3)
    array([3.136, 1.92 ])
    """
    wavelength = wavelength_of(wavelength)
    if wavelength is None:
        raise CrystalNetError("The wavelength of the peaks is not known. Give it in Å.", Code.NO_WAVELENGTH)
    lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if len(lines) > MOST:
        raise CrystalNetError(f"{len(lines)} lines are more than a list of peaks has.", Code.BAD_PEAKS)
    if lines and all(re.fullmatch(r"\d+,\d+", line) for _, line in lines):
        raise CrystalNetError(
            f"Line {lines[0][0]} of the peaks, {lines[0][1][:40]!r}, may be an angle and an intensity or one"
            " number with a decimal comma. Write them like '28.44 100'.",
            Code.BAD_PEAKS,
        )
    rows = []
    for number, line in lines:
        try:
            two_theta, intensity = (float(word) for word in _words(line)[:2])
        except ValueError:
            two_theta = intensity = np.nan
        if not (0 < two_theta < 180 and 0 <= intensity < np.inf):
            raise CrystalNetError(
                f"Line {number} of the peaks, {line[:40]!r}, is no angle within 0-180 degrees and"
                " intensity. Write them like '28.44 100'.",
                Code.BAD_PEAKS,
            )
        rows.append((two_theta, intensity))
    if not rows:
        raise CrystalNetError(
            "The list of peaks is empty. Write a line a peak, like '28.44 100'.", Code.BAD_PEAKS
        )
    two_theta, intensity = np.array(sorted(rows)).T
    if not intensity.any():
        raise CrystalNetError("All peaks have the intensity 0. Write their intensities.", Code.BAD_PEAKS)
    return Peaks(two_theta, intensity, wavelength / (2 * np.sin(np.radians(two_theta / 2))))


def _words(line: str) -> list[str]:
    """The columns of a line; a comma is a decimal one where something else parts them."""
    words = [word for word in re.split(r"[\s;]+", line) if word]
    if len(words) > 1 and "." not in line and any(map(_DECIMAL_COMMA.fullmatch, words)):
        return [word.replace(",", ".") for word in words]
    return [word for word in re.split(r"[\s,;]+", line) if word]
