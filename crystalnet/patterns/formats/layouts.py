"""How counts in constant steps are written: free, in fixed fields, with detectors or deviations between.

>>> reals("1.5, 2e3 counts"), fixed_real(" 1.5 "), fixed_real("x"), eights("     1.5     2.5")
([1.5, 2000.0], 1.5, None, ['     1.5', '     2.5'])
"""

from __future__ import annotations

import re

import numpy as np

REAL = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"


def reals(text: str) -> list[float]:
    """The numbers at the head of a text."""
    numbers = []
    for word in text.replace(",", " ").split():
        if not re.fullmatch(REAL, word):
            break
        numbers.append(float(word))
    return numbers


def fixed_real(text: str) -> float | None:
    return float(text) if re.fullmatch(rf"\s*{REAL}\s*", text) else None


def eights(line: str, width: int = 8) -> list[str]:
    return [line[i : i + width] for i in range(0, len(line.rstrip()), width)]


def _values(lines: list[str]) -> np.ndarray:
    values: list[float] = []
    for line in lines:
        numbers = reals(line)
        if len(numbers) < len(line.replace(",", " ").split()):
            break
        values += numbers
    return np.array(values)


def _plain(lines, n):
    return _values(lines), None, []


def _glued(lines, n):
    fields = [field for line in lines for field in eights(line)]
    return np.array([float(f) for f in fields if fixed_real(f) is not None]), None, []


def _detectors(lines, n, width=8):
    """(I2, F) pairs: detectors, and the mean of what they counted."""
    counts, n_detectors = [], []
    for line in lines:
        for text in eights(line, width):
            value = fixed_real(text[2:])
            if value is None or value <= -999:
                break
            counts.append(value)
            n_detectors.append(max(int(fixed_real(text[:2]) or 1), 1))
        else:
            continue
        if value is not None:
            break
    counts, n_detectors = np.array(counts), np.array(n_detectors)
    several = len(counts) and n_detectors.max() > 1
    sigma = np.sqrt(np.maximum(np.abs(counts), 1) / n_detectors)[: n or None] if several else None
    return counts, sigma, ["each count is the mean of several detectors"] if several else []


def _alternating(lines, n):
    lines = [line for line in lines if line.strip()]
    counts, sigma = _values(lines[::2]), _values(lines[1::2])
    return counts, sigma[:n] if len(sigma) >= n and (sigma[:n] > 0).all() else None, []


def _then_sigma(lines, n):
    values = _values(lines)
    counts, sigma = values[:n], values[n : 2 * n]
    return counts, sigma if len(sigma) == n and (sigma > 0).all() else None, []


LAYOUTS = {
    "Sietronics CPI": _plain,
    "Jade MDI": lambda lines, n: (_until_mark(lines), None, []),
    "FullProf INSTRM 0": _plain,
    "FullProf INSTRM 0 in fixed fields": _glued,
    "FullProf INSTRM 1 (D1A, D2B of old)": _detectors,
    "FullProf INSTRM 3 (D1B, D20)": lambda lines, n: _detectors(lines, n, 10),
    "FullProf INSTRM 4 (NLS)": _alternating,
    "FullProf INSTRM 5": _plain,
    "FullProf INSTRM 5 with deviations": _then_sigma,
    "FullProf INSTRM 6 (D1A, D2B)": _detectors,
}


def _until_mark(lines: list[str]) -> np.ndarray:
    """Counts up to Jade's mark of the end."""
    values = _values(lines)
    ends = np.flatnonzero(values == -1)
    return values[: ends[0]] if len(ends) else values
