"""What x may be, in which units, and the angles that belong to it.

>>> axis_of("2theta (deg)").quantity, axis_of("q (1/nm)"), axis_of("counts")
('two_theta', Axis(quantity='q', factor=0.1, said=''), None)
>>> two_theta_of(np.array([0.1, 0.5]), axis_of("s (1/A)"), 1.5406, "a.xy")[0].round(2)
array([ 17.72, 100.76])
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import refuse

MOST_Q = 30.0  # 1/Å, our choice: beyond it a q without a unit may as well be in 1/nm
OUT_OF_REACH = 0.05  # share of points with sin(theta) > 1 that may be left out, our choice


@dataclass(frozen=True)
class Axis:
    """A quantity along x: two_theta, theta, q = 4 pi sin(theta) / lambda, s = q / 4 pi, d, 1/d, 1/d^2.

    Attributes:
        factor: from the file's unit to degrees, Å or 1/Å.
        said: what was taken for granted about it.
    """

    quantity: str
    factor: float = 1.0
    said: str = ""


class UnknownAxisError(ValueError):
    """A label of something that is no scattering angle and can't become one."""


TWO_THETA = Axis("two_theta")
_STRANGERS = {
    "time of flight": r"time.?of.?flight|\btof\b|µs|μs|\bus\b|micro.?sec|\bd?t\s*[\[(]",
    "an energy": r"energy|\bk?ev\b",
    "an angle of the sample or the detector": r"azimuth|omega|ω|\bchi\b|χ|\bphi\b|φ|\bpsi\b|ψ|\brocking\b",
    "a number of points": r"\bindex\b|\bidx\b|channel|\bpixels?\b|\bpx\b|\bframe\b|\bpoints?\b|"
    r"^n[or]\.?$|^#$|\bbin\b",
    "a time": r"\btime\b|\bsec(onds?)?\b|^t$",
    "a length on the detector": r"^r\b.*mm|^r_m|radius|\br\s*[\[(]m*m",
    "a temperature": r"temp|kelvin",
    "a wavelength": r"wave.?length|lambda|^λ",
    "a wavenumber": r"wave.?number|raman|cm\s*\^?-1|1/cm",
    "a distance": r"^r(?![a-z])|radial|distance|^g\(r\)",
}
_QUANTITIES = {
    "two_theta": r"2\W?\s*[-_*]?\s*(theta|teta|th|θ)|two[\s_-]*th|t+[\s_-]?th|2\s*[-_]?th|"
    r"(diffraction|scattering)\s*angle|\bangle\b|winkel|^x$|^pos(ition|\.)?\b|^deg(rees?)?\.?$|^°$|^2\W?\w?\W?\s*[\[(](deg|°)",
    "theta": r"^(theta|th|θ)(?![a-z])",
    "s": r"^s(?![a-z])|sin.{0,9}/.{0,3}(lambda|λ|wl|l\b)|^stl\b",
    "1/d": r"^1/d(?![a-z])|^d\*(?!\*?2)|^d[\s_-]*star\b",
    "1/d^2": r"^d\*\*?\^?2|^1/d\^?2|^1/d²",
    "q": r"^[|(]?q(?![a-z])|scattering.?vector|momentum.?transfer|wave.?vector",
    "d": r"^d(?![a-z*])|^d[\s_-]*(spac|val|hkl)|inter.?planar|(lattice|plane)\s*spacing|netzebene",
}
_LENGTHS = {10.0: r"nm|nano", 0.01: r"pm|pico", 1.0: r"å|angstr|(?<![a-z])a(ng)?(?![a-z])"}
_NAMES_OF_ANGLES = r"theta|teta|winkel|angle|th|tth|two|pos(ition)?"


def axis_of(label: str) -> Axis | None:
    """What a label says x is; None if it is no such label.

    Raises:
        UnknownAxisError: it names something that no angle comes from, such as an energy.
    """
    label = _plain(label)
    quantity = next((name for name, known in _QUANTITIES.items() if re.search(known, label)), None)
    if quantity != "two_theta":
        for what, known in _STRANGERS.items():
            if re.search(known, label) and not (quantity and what == "a wavelength"):
                raise UnknownAxisError(what)
    if quantity is None:
        return None
    if quantity in ("two_theta", "theta"):
        return Axis(quantity, *_angle_unit(label, quantity))
    return _inverse_or_length(label, quantity)


def _plain(label: str) -> str:
    """Lower case, one kind of theta, Å and superscripts."""
    label = unicodedata.normalize("NFKC", label).replace("−", "-").replace("\\", "").replace("$", "")
    label = label.lower().replace("ϑ", "θ").strip(" \t#!\"';:*=%")
    return label.removeprefix("l ") if label.startswith("l ") else label


def _angle_unit(label: str, quantity: str) -> tuple[float, str]:
    said = "x is theta, doubled" if quantity == "theta" else ""
    if re.search(r"m\s*rad", label):
        return 0.18 / np.pi, said
    if re.search(r"(?<![a-z])rad|_rad", label):
        return 180 / np.pi, said
    if re.search(r"centi|milli|(?<![a-z])[cm]deg|arc|minute|second|\bgon\b|\bgrad\b", label):
        raise UnknownAxisError("an angle in no degrees")
    if re.search(r"(?<![a-z])(mm|µm|μm|um|px|pixels?)(?![a-z])", label):
        raise UnknownAxisError("a length")
    return 1.0, said


def _inverse_or_length(label: str, quantity: str) -> Axis:
    unit = re.sub(r"^[|(]?(q|d|s)(?![a-z])", "", label)
    unit = re.sub(
        r"(sin|lambda|spacing|value|star|scattering|vector|momentum|transfer|interplanar)\w*", " ", unit
    )
    length = next((size for size, known in _LENGTHS.items() if re.search(known, unit)), None)
    if re.search(r"(?<![a-z])(mm|cm|m|km)(?![a-z])", unit):
        raise UnknownAxisError("a length of another unit")
    said = (
        ""
        if length
        else f"{quantity} is given without its unit, taken in {'Å' if quantity == 'd' else '1/Å'}"
    )
    length = length or 1.0
    if quantity == "s":
        bare = "sin" not in label and "stl" not in label
        said += ("; " if said and bare else "") + ("s is taken as sin(theta) / lambda" if bare else "")
    power = {"d": 1, "1/d^2": -2}.get(quantity, -1)
    return Axis(quantity, length**power, said)


def two_theta_of(
    x: np.ndarray, axis: Axis, wavelength: float | None, name: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Angles in degrees, which points have one, (N,) each, and what was taken for granted.

    Raises:
        CrystalNetError: no wavelength where the angles depend on it, or points that it does not reach.
    """
    said = [axis.said] if axis.said else []
    x = np.asarray(x, float) * axis.factor
    everywhere = np.full(len(x), True)
    if axis.quantity == "two_theta":
        return x, everywhere, said
    if axis.quantity == "theta":
        if len(x) and np.nanmax(x) > 90:
            refuse(
                name,
                f"its x is called theta and runs to {np.nanmax(x):g}, beyond 90 degrees",
                code=Code.UNKNOWN_UNIT,
            )
        return 2 * x, everywhere, said
    if wavelength is None:
        refuse(
            name,
            f"it gives {axis.quantity} instead of angles",
            "Give the wavelength that angles belong to",
            Code.NO_WAVELENGTH,
        )
    if "without its unit" in axis.said and axis.quantity in ("q", "s") and np.nanmax(x) > MOST_Q:
        refuse(
            name,
            f"its {axis.quantity} runs to {np.nanmax(x):g} without a unit",
            "Write it as in 'q (1/nm)'",
            Code.UNKNOWN_UNIT,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        sine = wavelength * {
            "q": lambda: x / (4 * np.pi), "s": lambda: x, "1/d": lambda: x / 2, "d": lambda: 0.5 / x,
            "1/d^2": lambda: np.sqrt(x) / 2,
        }[axis.quantity]()  # fmt: skip
    reached = np.abs(sine) <= 1
    n_lost = int((~reached & ~np.isnan(x)).sum())
    if n_lost > OUT_OF_REACH * len(x):
        refuse(
            name,
            f"{n_lost} of its {len(x)} points in {axis.quantity} can't be reached with {wavelength:g} Å",
            "Correct the wavelength, or the unit in the header",
            Code.BAD_WAVELENGTH,
        )
    if n_lost:
        said.append(f"{n_lost} points beyond the reach of {wavelength:g} Å are left out")
    with np.errstate(invalid="ignore"):
        return 2 * np.degrees(np.arcsin(np.where(reached, sine, np.nan))), reached | np.isnan(x), said
