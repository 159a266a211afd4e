r"""Rigaku's ASC: groups of counts below a header of *NAME = value.

>>> from pathlib import Path
>>> text = "*BEGIN\n*START = 10\n*STEP = 0.02\n*COUNT = 3\n1, 2, 3\n*END\n"
>>> file = File(Path("a.asc"), text.encode())
>>> recognised(file), read(file)[0].x
(True, array([10.  , 10.02, 10.04]))
"""

from __future__ import annotations

import re

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse, refuse_cut
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.wavelengths import in_angstrom

_ENTRY = re.compile(r"\*(\w+)\s*=\s*(.*?)\s*$")


def recognised(file: File) -> bool:
    head = file.text[:20000] if file.is_text else ""
    return re.search(r"(?m)^\*(BEGIN|START)\s*(=|$)", head) is not None and "*STEP" in head


def read(file: File) -> list[Scan]:
    """The groups over two_theta.

    Raises:
        CrystalNetError: a group that is cut or of another axis, or a number that can't be read.
    """
    header: dict[str, str] = {}
    counts: list[str] = []
    scans: list[Scan] = []
    for line in file.text.splitlines():
        line = line.strip()
        if entry := _ENTRY.match(line):
            if counts:
                refuse_cut(file.name, f"a group does not end before *{entry[1]}")
            header[entry[1]] = entry[2]
        elif line == "*END":
            scans.append(_group(header, counts, file.name))
            counts = []
        elif line and not line.startswith("*"):
            counts += line.replace(",", " ").split()
    if counts or not scans:
        refuse_cut(file.name, "it holds no whole group of counts")
    return scans


def _group(header: dict[str, str], counts: list[str], name: str) -> Scan:
    axis = header.get("SCAN_AXIS", "2theta").lower()
    if "2theta" not in axis.replace(" ", "").replace("-", "") or not header.get(
        "XUNIT", "deg"
    ).lower().startswith("deg"):
        refuse(
            name,
            f"it was scanned over {axis} in {header.get('XUNIT', 'deg')}, not over two_theta in degrees",
            code=Code.UNKNOWN_UNIT,
        )
    try:
        start, step = float(header["START"]), float(header["STEP"])
        n = int(float(header.get("COUNT", len(counts))))
        values = np.array(counts, float)
        wavelength = in_angstrom(float(header.get("WAVE_LENGTH1") or "nan"), "A")
    except (KeyError, ValueError) as error:
        refuse_cut(name, f"a group can't be read ({error})")
    if len(values) != n:
        refuse_cut(name, f"a group promises {n} points and holds {len(values)}")
    return Scan(start + step * np.arange(n), values, wavelength=wavelength, title=header.get("SAMPLE", ""))
