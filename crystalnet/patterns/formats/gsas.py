r"""GSAS: banks of counts in hundredths of degrees, under whatever suffix.

>>> from pathlib import Path
>>> text = "title\nBANK 1 60 6 CONST 1000 2 0 0 STD\n" + ("".join(f"{i:8d}" for i in range(10)) + "\n") * 6
>>> file = File(Path("a.gsa"), text.encode())
>>> recognised(file), read(file)[0].x[:3]
(True, array([10.  , 10.02, 10.04]))
"""

from __future__ import annotations

import re

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import MOST_TEXT, File, refuse, refuse_cut
from crystalnet.patterns.formats.columns import refuse_neutrons
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.wavelengths import stated

_BANK = re.compile(r"(?m)^BANK\s+\d+\s+\d+", re.IGNORECASE)
_KINDS = ("STD", "ESD", "FXY", "FXYE", "ALT")
_TIMES = {"SLOG", "TIME_MAP", "RALF", "LOG6", "LPSD", "EDS"}  # binnings of neutron times and of energies
_NO_BODY = re.compile(r"\s*(#|TIME_MAP|Instrument parameter)", re.IGNORECASE)


def recognised(file: File) -> bool:
    """Titles may be full of control characters, so that the file does not look like text."""
    return len(file.data) <= MOST_TEXT and _BANK.search(file.text) is not None


def read(file: File) -> list[Scan]:
    """The banks of angles.

    Raises:
        CrystalNetError: banks of times or energies, or one that is cut or can't be read.
    """
    lines = file.text.splitlines()
    starts = [i for i, line in enumerate(lines) if _BANK.match(line)]
    title = "\n".join(lines[: starts[0]])
    refuse_neutrons(title, file.name)
    wavelength, remark = stated(title)
    scans = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        scan = _bank(lines[start].split(), lines[start + 1 : end], file.name)
        said = scan.said + ((remark,) if remark else ())
        scans.append(
            Scan(scan.x, scan.counts, scan.sigma, wavelength=wavelength, title=lines[start][:40], said=said)
        )
    return scans


def _bank(bank: list[str], lines: list[str], name: str) -> Scan:
    kind = next((word.upper() for word in reversed(bank) if word.upper() in _KINDS), "STD")
    binning = bank[4].upper() if len(bank) > 4 else "none"
    if binning in _TIMES or kind == "ALT":
        refuse(
            name,
            f"its BANK is of {binning} steps: time of flight or energy, not angles",
            "Give a pattern of angles",
            Code.NOT_X_RAYS,
        )
    fixed_steps = binning in ("CONST", "CONS", "COND")
    if not fixed_steps:
        refuse(
            name, f"its BANK is of type {binning}, not of angles in constant steps", code=Code.UNKNOWN_UNIT
        )
    body = [line for line in lines if line.strip() and not _NO_BODY.match(line)]
    try:
        n = int(bank[2])
        first, step = (float(bank[5]), float(bank[6])) if fixed_steps else (np.nan, np.nan)
        values = np.array([point for line in body for point in _points(line, kind)], float).reshape(-1, 3)[:n]
    except (ValueError, IndexError) as error:
        refuse_cut(name, f"its BANK can't be read ({error})")
    if len(values) < n or n < 1:
        refuse_cut(name, f"its BANK promises {n} points and holds {len(values)}")
    x = values[:, 0] if kind.startswith("FXY") else first + step * np.arange(n)
    said = ()
    if x.max() <= 180 and x.min() >= 0:  # hundredths of a degree all of them below 1.8 degrees: no pattern
        said = ("its angles are read as degrees, though GSAS counts in hundredths of them",)
    else:
        x = x / 100
    sigma = values[:, 2]
    return Scan(x, values[:, 1], sigma if (sigma > 0).any() else None, said=said)


def _points(line: str, kind: str) -> list[tuple[float, float, float]]:
    """(angle or 0, counts, sigma or 0) of the points of a line."""
    if kind.startswith("FXY"):
        angle, counts, *sigma = (float(x) for x in line.replace(",", " ").split())
        return [(angle, counts, sigma[0] if sigma else 0.0)]
    line = line.rstrip()
    words = line.split()
    if kind == "ESD":
        numbers = [float(x) for x in (_fixed(line) if len(line) > 72 else words)]
        return [(0.0, y, e) for y, e in zip(numbers[::2], numbers[1::2], strict=True)]
    if len(line) % 8:  # written without columns
        return [(0.0, float(x), 0.0) for x in words]
    # two places for the number of detectors, six for the mean of their counts
    return [(0.0, float(field[2:]), 0.0) for field in _fixed(line)]


def _fixed(line: str) -> list[str]:
    """Fields of eight places."""
    return [line[i : i + 8] for i in range(0, len(line), 8)]
