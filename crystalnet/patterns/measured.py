"""Measured powder patterns from the files that diffractometers and beamlines write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.pattern_formats import FEWEST, READERS, refuse

FORMATS = "*.xy, *.xye, *.dat, *.txt, *.csv, *.cif, *.xrdml, and GSAS' *.gsas, *.gss, *.gsa, *.fxye, *.raw"


@dataclass(frozen=True, eq=False)
class Measured:
    """One measured powder pattern.

    Attributes:
        two_theta: (N,) degrees, rising.
        counts: (N,), on any scale.
        sigma: (N,) standard deviations of the counts where the file has them.
        wavelength: Å, where it is known.
        name: what messages and figures call it.
    """

    two_theta: np.ndarray
    counts: np.ndarray
    sigma: np.ndarray | None = None
    wavelength: float | None = None
    name: str = "pattern"


def read_pattern(path: str | Path, wavelength: float | str | None = None) -> Measured:
    """The pattern of one file.

    - Text with columns of two_theta in degrees, counts and perhaps their standard deviations. A header may
      name the columns; it may also name d in Å or q in 1/Å instead of the angle.
    - pdCIF, as journals keep it; XRDML of Malvern Panalytical, its first scan; GSAS with constant steps.

    Points are sorted by angle, and those of equal angle averaged.

    Args:
        path: a file of one of FORMATS.
        wavelength: Å, or a name such as 'CuKa' or 'MoKa1'; it wins over the file's own.

    Raises:
        CrystalNetError: a file that can't be read or that holds no usable pattern, an unknown wavelength.
    """
    path = Path(path).expanduser()
    wavelength = wavelength_of(wavelength)
    read = READERS.get(path.suffix.lower())
    if not path.is_file():
        raise CrystalNetError(f"{path} is no file. Correct the path.", Code.FILE_MISSING)
    if read is None:
        raise CrystalNetError(
            f"{path.name} is of no known format. Export the pattern as one of {FORMATS}.", Code.UNKNOWN_FORMAT
        )
    return checked(Measured(*read(_text(path), path.name, wavelength), path.name))


def wavelength_of(wavelength: float | str | None) -> float | None:
    """Å of a number or of a name such as 'CuKa' (pymatgen's table); None stays None.

    Raises:
        CrystalNetError: an unknown name, or no positive number.
    """
    if wavelength is None:
        return None
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS  # seconds that other readers do without

    try:
        value = float(WAVELENGTHS.get(wavelength, wavelength))
    except (TypeError, ValueError):
        value = np.nan
    if not 0 < value < np.inf:
        raise CrystalNetError(
            f"There is no wavelength {wavelength!r}. Give it in Å, or as one of {', '.join(WAVELENGTHS)}.",
            Code.BAD_WAVELENGTH,
        )
    return value


def checked(pattern: Measured) -> Measured:
    """The pattern sorted by angle, equal angles averaged.

    Raises:
        CrystalNetError: too few points, values that aren't finite, angles outside 0-180 degrees, no signal.
    """
    name = pattern.name
    two_theta, counts = (np.asarray(x, float) for x in (pattern.two_theta, pattern.counts))
    sigma = None if pattern.sigma is None else np.asarray(pattern.sigma, float)
    if two_theta.ndim != 1 or counts.shape != two_theta.shape:
        refuse(name, f"{two_theta.size} angles and {counts.size} counts don't fit. The file may be cut")
    if len(two_theta) < FEWEST:
        refuse(name, f"it holds {len(two_theta)} points, fewer than the {FEWEST} of any pattern")
    if not (np.isfinite(two_theta).all() and np.isfinite(counts).all()):
        refuse(name, "it holds values that are no finite numbers")
    if two_theta.min() < 0 or two_theta.max() > 180:
        refuse(
            name, f"its angles run from {two_theta.min():g} to {two_theta.max():g}, not within 0-180 degrees"
        )
    if counts.max() <= 0 or counts.min() == counts.max():
        refuse(name, "all counts are equal or none is above 0")
    if sigma is not None and not (sigma.shape == counts.shape and (np.isfinite(sigma) & (sigma > 0)).all()):
        sigma = None  # a column of zeros or of something else
    two_theta, place, n = np.unique(two_theta, return_inverse=True, return_counts=True)
    if len(two_theta) < max(FEWEST, len(counts) / 4):
        refuse(name, f"its {len(counts)} points lie at {len(two_theta)} angles only")
    counts = np.bincount(place, counts) / n
    sigma = None if sigma is None else np.sqrt(np.bincount(place, sigma**2)) / n
    return Measured(two_theta, counts, sigma, pattern.wavelength, name)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CrystalNetError(
            f"{path.name}: it can't be read ({error}). Correct its permissions.", Code.FILE_UNREADABLE
        ) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data or data.startswith((b"RAW", b"\x89", b"PK")):
        refuse(
            path.name, "it is a binary file", "Export it as .xy or .xrdml with the diffractometer's program"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
