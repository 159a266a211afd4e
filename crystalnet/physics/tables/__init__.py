"""Tables of atoms: spherical valence densities and X-ray form factors.

`valence.json` and `form_factors.json` are written by `make_valence.py` and `make_form_factors.py` beside
them; each file states its own units, source and licence. They are read once, on first use.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from crystalnet.errors import Code, CrystalNetError

FOLDER = Path(__file__).parent

_PERIODIC_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS = tuple(_PERIODIC_TABLE.split())
"""The 118 element symbols; element Z is `SYMBOLS[Z - 1]`."""

ATOMIC_NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)} | {"D": 1, "T": 1}
"""Symbol to atomic number; the hydrogen isotopes D and T share hydrogen's electrons."""


SCATTERING = 41.78214  # Å^-1 electrons, turns electron scattering into X-ray (De Graef & McHenry, eq. 12.5)


@dataclass(frozen=True)
class ValenceAtom:
    """Spherical valence density rho(r) = sum_k coefficients_k exp(-exponents_k r^2).

    r in Bohr, rho in e/Bohr^3, exponents (K,) in 1/Bohr^2, coefficients (K,) in e/Bohr^3;
    the density holds exactly `n_electrons` valence electrons.
    """

    z: int
    n_electrons: float
    exponents: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True)
class FormFactor:
    """X-ray form factor f(s) = z - 41.78214 s^2 sum_k a_k exp(-b_k s^2), s = sin(theta)/lambda in 1/Å.

    a (4,) in Å and b (4,) in Å^2 are electron-scattering parameters; f is in electrons.

    >>> form_factor("Cl").at(np.array([0.0, 0.5])).round(2)  # electrons: all 17 of them forwards
    array([17.  ,  7.21])
    """

    z: int
    a: np.ndarray
    b: np.ndarray

    def at(self, s: np.ndarray) -> np.ndarray:
        """f at s (...,) in 1/Å."""
        squared = np.asarray(s, float)[..., None] ** 2
        return self.z - SCATTERING * (squared * self.a * np.exp(-self.b * squared)).sum(-1)


def valence(symbol: str) -> ValenceAtom:
    """The valence density of an element, H to Pu. Raises CrystalNetError for any other symbol.

    >>> silicon = valence("Si")
    >>> silicon.n_electrons
    4.0
    >>> round(float((silicon.coefficients * (np.pi / silicon.exponents) ** 1.5).sum()), 6)
    4.0
    """
    entry = _element("valence.json", "valence density", symbol)
    return ValenceAtom(
        entry["Z"], entry["n_electrons"], _constant(entry["exponents"]), _constant(entry["coefficients"])
    )


def form_factor(symbol: str) -> FormFactor:
    """The X-ray form factor of an element, H to Cf. Raises CrystalNetError for any other symbol.

    >>> form_factor("Si").z
    14
    """
    entry = _element("form_factors.json", "X-ray form factor", symbol)
    return FormFactor(entry["Z"], _constant(entry["a"]), _constant(entry["b"]))


def write_table(
    file_name: str, header: dict[str, str], elements: dict[str, dict], *, folder: Path = FOLDER
) -> None:
    """Write a table into a folder, atomically: the header's lines first, then a line per element.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table("z.json", {"licence": "MIT"}, {"H": {"Z": 1}}, folder=Path(folder))
    ...     json.loads((Path(folder) / "z.json").read_text())
    {'licence': 'MIT', 'elements': {'H': {'Z': 1}}}
    """
    head = "".join(f"{json.dumps(key)}: {json.dumps(text)},\n" for key, text in header.items())
    rows = ",\n".join(f"{json.dumps(symbol)}: {json.dumps(entry)}" for symbol, entry in elements.items())
    temporary = folder / f"{file_name}.part"
    temporary.write_text(f'{{\n{head}"elements": {{\n{rows}\n}}\n}}\n', encoding="utf-8")
    os.replace(temporary, folder / file_name)


@cache
def _elements(file_name: str) -> dict[str, dict]:
    return json.loads((FOLDER / file_name).read_text(encoding="utf-8"))["elements"]


def _element(file_name: str, quantity: str, symbol: str) -> dict:
    elements = _elements(file_name)
    z = ATOMIC_NUMBERS.get(symbol)
    entry = elements.get(SYMBOLS[z - 1]) if z else None
    if entry is None:
        first, *_, last = elements
        what = f"There is no {quantity} for {symbol}" if z else f"{symbol!r} is not an element"
        raise CrystalNetError(f"{what}. The table covers {first} to {last}.", Code.UNKNOWN_ELEMENT)
    return entry


def _constant(values: list[float]) -> np.ndarray:
    array = np.array(values)
    array.flags.writeable = False
    return array
