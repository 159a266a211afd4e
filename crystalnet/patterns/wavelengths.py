"""Wavelengths: as people and files write them, in Å.

>>> wavelength_of("CuKa1"), in_angstrom(0.15406, "nm"), principal([1.54056, 1.54439])
(1.54056, 1.5406, 1.54056)
>>> stated("wavelength: 0.7107 A")
(0.7107, '')
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from crystalnet.errors import Code, CrystalNetError

SHORTEST, LONGEST = 0.1, 3.0  # Å, our choice: from hard synchrotron radiation to Cr K-alpha and beyond
LONGEST_HEADER = 100_000  # characters that are looked through, our choice
_KEV = 12.398419843  # keV Å, h c (CODATA 2018)
_NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_UNITS = {
    r"å|a|ang|angs|angstr[oö]e?ms?|Å": 1.0, r"nm|nanomet\w*": 10.0, r"pm|picomet\w*": 0.01,
    r"m|met(?:er|re)s?": 1e10,
}  # fmt: skip
_STATED = re.compile(
    r"(?<!/)(?<!/ )(?:wave[\s_-]?length|\blambda|λ|\b_?wl|wellenl.nge|longueur.d.onde)"
    r"[ \t_-]*(?:\(?(?:1|2|i|ii)\)?(?=[\s:=,(\[\"]))?"
    r"(?P<between>[^\d\n+.-]{0,24}?)[ \t\"]*(?P<value>"
    + _NUMBER
    + r")[ \t\"]*[\[(]?[ \t]*(?P<unit>[a-zåµ]*)",
    re.IGNORECASE,
)
_ENERGY = re.compile(
    r"(?:energy|photon)\w*[^\d\n]{0,20}?(?P<value>" + _NUMBER + r")\s*(?P<unit>k?ev)\b|"
    r"energy\w*\s*[\[(](?P<unit2>k?ev)[\])][^\d\n]{0,8}(?P<value2>" + _NUMBER + ")",
    re.IGNORECASE,
)


def wavelength_of(wavelength: float | str | None) -> float | None:
    """Å of a number, of a number with its unit ('0.0413 nm', '30 keV'), or of a name such as 'CuKa'
    (pymatgen's table); None stays None.

    Raises:
        CrystalNetError: an unknown name, or no wavelength within SHORTEST and LONGEST.
    """
    if wavelength is None:
        return None
    value = np.nan
    if isinstance(wavelength, str):
        value = _with_unit(wavelength)
        value = value if np.isfinite(value) else _of_tubes().get(_name(wavelength), np.nan)
    elif not isinstance(wavelength, bool | np.bool_):
        try:
            value = float(wavelength)
        except (TypeError, ValueError, OverflowError):
            value = np.nan
    if not SHORTEST <= value <= LONGEST:
        raise CrystalNetError(
            f"There is no wavelength {str(wavelength)[:40]!r}. Give it in Å, {SHORTEST:g} to {LONGEST:g}, or"
            " by name, such as 'CuKa' or 'MoKa1'.",
            Code.BAD_WAVELENGTH,
        )
    return float(value)


def _of_tubes() -> dict[str, float]:
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS  # seconds that other readers do without

    return {name.lower(): value for name, value in WAVELENGTHS.items()}


def _name(name: str) -> str:
    """'Cu K-alpha 1' is 'cuka1'."""
    name = name.lower().replace("alpha", "a").replace("α", "a").replace("beta", "b").replace("β", "b")
    return re.sub(r"[\s_\-()]", "", name)


def _with_unit(text: str) -> float:
    """Å of '0.0413 nm'; NaN if it is none."""
    found = re.fullmatch(rf"\s*({_NUMBER})\s*([^\d\s]*)\s*", text)
    if not found:
        return np.nan
    value, unit = _float(found[1]), found[2].lower()
    if unit in ("kev", "ev"):
        return _KEV / (value if unit == "kev" else value / 1000) if value > 0 else np.nan
    return value * _factor(unit) if not unit or _factor(unit) else np.nan


def _factor(unit: str) -> float | None:
    """From a unit to Å; 1 of no unit, None of an unknown one."""
    if not unit:
        return 1.0
    return next((size for known, size in _UNITS.items() if re.fullmatch(known, unit.lower())), None)


def _float(text: str) -> float:
    value = float(text.replace(",", "."))
    return value if np.isfinite(value) else np.nan


def in_angstrom(value: float, unit: str | None) -> float | None:
    """Å of a number that a file states with its unit, or None if it is no wavelength of X-rays.

    Without a unit the number tells: SHORTEST to LONGEST are Å, a ten-billionth of that metres.
    """
    factor = _factor(unit or "")
    if factor is None or not unit:
        factor = 1e10 if 0 < value < 1e-6 else 1.0
    value = value * factor
    return round(float(value), 6) if SHORTEST <= value <= LONGEST else None


def stated(text: str) -> tuple[float | None, str]:
    """The wavelength that the text above a pattern states, and what had to be taken for granted.

    None where it states none, or several that are no lines of one tube; then the remark says so.
    """
    values, doubtful = [], ""
    text = text[:LONGEST_HEADER]
    for found in _STATED.finditer(text):
        number = _float(found["value"])
        before = text[max(found.start() - 24, 0) : found.start()].lower().rpartition("\n")[2]
        if "beta" in before or "β" in before or not number > 0:
            continue
        bracket = re.search(
            r"[\[(]\s*([a-zå]+)\s*[\])]|(?:\bin\s+|^)(nm|pm|a|å|angstr\w*|m)\b",
            found["between"],
            re.IGNORECASE,
        )
        unit = (bracket[1] or bracket[2]) if bracket else found["unit"]
        value = in_angstrom(number, unit if _factor(unit or "") else None)
        if value is None:
            doubtful = (
                f"the wavelength {found['value']} {unit or ''}".strip() + " of the header is not understood"
            )
        else:
            values.append(value)
    if not values:
        for found in _ENERGY.finditer(text):
            number, unit = (
                _float(found["value"] or found["value2"]),
                (found["unit"] or found["unit2"]).lower(),
            )
            energy = number if unit == "kev" else number / 1000
            if energy > 0 and SHORTEST <= _KEV / energy <= LONGEST:
                return (
                    _KEV / energy,
                    f"wavelength {_KEV / energy:.5f} Å from the energy {number:g} {found['unit'] or unit}",
                )
    if not values:
        return None, doubtful
    value = principal(values)
    if value is None:
        listed = ", ".join(f"{one:g}" for one in dict.fromkeys(values))
        return None, f"the header names the wavelengths {listed} Å, of no one tube"
    return value, ""


def principal(values: Iterable[float]) -> float | None:
    """K-alpha-1 of the lines of a tube in any order, the wavelength itself if there is one; None of others.

    K-alpha-2 is .2 to .7 % longer than K-alpha-1, and K-beta 8 to 12 % shorter, from Cr to Ag.
    """
    values = sorted({round(value, 6) for value in values})
    if not values:
        return None
    longest = values[-1]
    alphas = [value for value in values if value > longest / 1.008]
    betas = [value for value in values if 0.87 < value / longest < 0.93]
    return alphas[0] if len(alphas) + len(betas) == len(values) else None
