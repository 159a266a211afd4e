"""Writes form_factors.json: `python -m crystalnet.physics.tables.make_form_factors`.

The parameters are those that pymatgen (MIT licence) ships, after De Graef & McHenry, Structure of Materials
(Cambridge University Press), chapters 11 and 12. With a copy of them the physics runs without pymatgen.

>>> header()["units"]
'f in electrons, s in 1/angstrom, a in angstrom, b in angstrom^2'
"""

from __future__ import annotations

from importlib.metadata import version

from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS, write_table


def header() -> dict[str, str]:
    """What the numbers are and where they come from."""
    return {
        "quantity": "X-ray form factor f(s) = Z - 41.78214 s^2 sum a exp(-b s^2), s = sin(theta)/lambda",
        "units": "f in electrons, s in 1/angstrom, a in angstrom, b in angstrom^2",
        "source": "M. De Graef, M. E. McHenry, Structure of Materials, Cambridge University Press; "
        "as ATOMIC_SCATTERING_PARAMS of pymatgen.analysis.diffraction.xrd",
        "version": f"pymatgen-core {version('pymatgen-core')}",
        "licence": "MIT, Copyright (c) 2011-2012 MIT & The Regents of the University of California, "
        "through Lawrence Berkeley National Laboratory",
        "made_by": "crystalnet/physics/tables/make_form_factors.py",
    }


def form_factors() -> dict[str, dict]:
    """Z, a (4,) and b (4,) of each element that pymatgen covers, in order of Z."""
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS

    elements = {}
    for symbol in SYMBOLS:
        if symbol in ATOMIC_SCATTERING_PARAMS:
            a, b = zip(*ATOMIC_SCATTERING_PARAMS[symbol], strict=True)
            elements[symbol] = {"Z": ATOMIC_NUMBERS[symbol], "a": a, "b": b}
    return elements


if __name__ == "__main__":
    write_table("form_factors.json", header(), form_factors())
