r"""Counts in constant steps below a line of start, step and end: FullProf, DBWS, XDD, Jade, Sietronics.

>>> from pathlib import Path
>>> text = "10.0 0.1 16.0 title\n" + "\n".join("0 1 2 3 4 5 6 7 8 9" for _ in range(6)) + " 1"
>>> file = File(Path("a.dat"), text.encode())
>>> recognised(file), read(file)[0].x[:3]
(True, array([10. , 10.1, 10.2]))
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from crystalnet.patterns.files import File, refuse_cut
from crystalnet.patterns.formats.columns import refuse_neutrons
from crystalnet.patterns.formats.layouts import LAYOUTS, REAL, eights, fixed_real, reals
from crystalnet.patterns.formats.tables import FEWEST
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.wavelengths import in_angstrom, stated

SMALLEST_STEP = 1e-4  # degrees, our choice
_HEAD_LINES = 12  # that a title may take, our choice
_MDI = re.compile(
    rf"\s*({REAL})\s+({REAL})\s+{REAL}\s+([A-Za-z]{{1,2}})\s+({REAL})\s+({REAL})\s+(\d{{1,7}})\s*$"
)


class _Grid(NamedTuple):
    """Where the counts begin and what they lie on; `n` is 0 where a mark ends them."""

    line: int
    start: float
    step: float
    n: int
    layout: str
    wavelength: float | None = None


def recognised(file: File) -> bool:
    return file.is_text and _grid(file.text.splitlines()) is not None


def read(file: File) -> list[Scan]:
    """The pattern of a file in constant steps; CrystalNetError if it is cut."""
    lines = file.text.splitlines()
    grid = _grid(lines)
    assert grid is not None  # recognised
    above = "\n".join(lines[: grid.line])
    refuse_neutrons(above, file.name)
    counts, sigma, said = LAYOUTS[grid.layout](lines[grid.line :], grid.n)
    if grid.n and len(counts) < grid.n - 1:  # whether the end is a point programs disagree
        refuse_cut(file.name, f"it promises {grid.n} points and holds {len(counts)}")
    counts = counts[: grid.n or None]
    sigma = sigma if sigma is not None and len(sigma) == len(counts) else None
    wavelength, remark = (grid.wavelength, "") if grid.wavelength else stated(above)
    said = [f"read as counts in constant steps, {grid.layout}", *said, *([remark] if remark else [])]
    x = grid.start + grid.step * np.arange(len(counts))
    return [Scan(x, counts, sigma, wavelength=wavelength, said=tuple(said))]


def _grid(lines: list[str]) -> _Grid | None:
    """What the first lines promise, if the rest keeps it."""
    return (
        _sietronics(lines) or _jade(lines) or _d1b(lines) or _d1a(lines) or _two_axes(lines) or _free(lines)
    )


def _sietronics(lines: list[str]) -> _Grid | None:
    if not lines or not lines[0].startswith("SIETRONICS XRD SCAN"):
        return None
    begin = next((i for i, line in enumerate(lines[:40], 1) if line.strip() == "SCANDATA"), None)
    ends = reals(" ".join(lines[1:4]))
    if begin is None or len(ends) != 3 or not _spans(ends[0], ends[2], ends[1]):
        return None
    wavelength = next((float(line) for line in lines[5:7] if re.fullmatch(REAL, line.strip())), None)
    n = _n_points(ends[0], ends[2], ends[1])
    return _Grid(begin, ends[0], ends[2], n, "Sietronics CPI", in_angstrom(wavelength or 0, "A"))


def _jade(lines: list[str]) -> _Grid | None:
    for i, line in enumerate(lines[:4]):
        if found := _MDI.match(line):
            start, step, wavelength, stop, n = (float(found[k]) for k in (1, 2, 4, 5, 6))
            if _spans(start, step, stop) and abs(_n_points(start, step, stop) - n) <= 1:
                return _Grid(i + 1, start, step, int(n), "Jade MDI", in_angstrom(wavelength, "A"))
    return None


def _d1b(lines: list[str]) -> _Grid | None:
    """FullProf INSTRM 3: three titles, a line of fixed places, the number of points, 10 (I2, F8.0) a line."""
    if len(lines) < 7 or not re.fullmatch(r"\s*\d{1,7}\s*", lines[4]):
        return None
    line, n = lines[3], int(lines[4])
    start, step = fixed_real(line[23:31]), fixed_real(line[76:85])
    if start is None or step is None:
        numbers = reals(line)
        start, step = numbers[1:3] if len(numbers) > 2 else (None, None)
    if start is None or not step or not _spans(start, step, start + step * n) or n < FEWEST:
        return None
    return _Grid(5, start, step, n, "FullProf INSTRM 3 (D1B, D20)")


def _d1a(lines: list[str]) -> _Grid | None:
    """FullProf INSTRM 6: title, step, start, monitors, 10 (I2, F6.0) a line up to a line of -1000."""
    if len(lines) < 6:
        return None
    step, start = fixed_real(lines[1][16:24]), fixed_real(lines[2][:8])
    if step is None:
        step = (reals(lines[1]) or [None])[-1]
    if step is None or start is None or not _spans(start, step, start + FEWEST * step):
        return None
    if len(reals(lines[3])) > 4 or not any(re.search(r"-1000(0|\.)*\b", line) for line in lines[4:]):
        return None
    return _Grid(4, start, step, 0, "FullProf INSTRM 6 (D1A, D2B)")


def _two_axes(lines: list[str]) -> _Grid | None:
    """FullProf INSTRM 5: titles, number of points and more, start step end, counts, perhaps deviations."""
    body = [i for i, line in enumerate(lines[: _HEAD_LINES + 3]) if not line.lstrip().startswith("!")]
    for k in range(3, len(body) - 2):
        counted, ends = reals(lines[body[k]]), reals(lines[body[k + 1]])
        if len(counted) < 4 or len(ends) != 3 or not _spans(*ends):
            continue
        if abs(_n_points(*ends) - counted[0]) <= 1 and counted[0] >= FEWEST:
            with_sigma = " with deviations" if counted[3] else ""
            return _Grid(body[k + 1] + 1, ends[0], ends[1], int(counted[0]), "FullProf INSTRM 5" + with_sigma)
    return None


def _free(lines: list[str]) -> _Grid | None:
    """Start, step and end at the head of a line, and as many counts below, free or in fields of eight."""
    for i, line in enumerate(lines[:_HEAD_LINES]):
        found = re.match(rf"\s*({REAL})[\s,]+({REAL})[\s,]+({REAL})(?=\s|,|$)", line)
        if not found:
            continue
        a, b, c = (float(x) for x in found.groups())
        for start, step, stop in ((a, b, c), (a, c, b)):
            if not _spans(start, step, stop) or (n := _n_points(start, step, stop)) < FEWEST:
                continue
            if layout := _layout_of(lines[i + 1 :], n):
                return _Grid(i + 1, start, step, n, layout)
    return None


def _layout_of(lines: list[str], n: int) -> str | None:
    """How `n` counts are written; None if they are none, such as a table of two or three columns."""
    lines = [line for line in lines if line.strip()]
    widths = [len(line.split()) for line in lines]
    full = max(widths, default=0)
    total = sum(widths)
    if not lines or any(len(reals(line)) < len(line.replace(",", " ").split()) for line in lines[:30]):
        return None
    if full in (2, 3) and total >= full * (len(lines) - 1) and _first_rises(lines):
        return None
    if full == 10 and abs(total - 2 * n) <= 20 and len(lines) % 2 == 0:
        return "FullProf INSTRM 4 (NLS)"
    if full > 10 and total > 1.5 * n:
        return "FullProf INSTRM 1 (D1A, D2B of old)"
    if total >= n - 1 and total <= n + max(full, 10):
        return "FullProf INSTRM 0"
    if full >= 4 and total < n:
        glued = sum(len(eights(line)) for line in lines)
        return "FullProf INSTRM 0 in fixed fields" if abs(glued - n) <= 10 else "FullProf INSTRM 0"
    return None


def _first_rises(lines: list[str]) -> bool:
    first = [float(line.replace(",", " ").split()[0]) for line in lines[:FEWEST]]
    return bool(np.all(np.diff(first) >= 0)) and len(set(first)) > 1


def _spans(start: float, step: float, stop: float) -> bool:
    """Whether they can be angles of a scan."""
    return -90 <= start < stop <= 181 and SMALLEST_STEP <= step <= 1 and step < stop - start


def _n_points(start: float, step: float, stop: float) -> int:
    return round((stop - start) / step) + 1
