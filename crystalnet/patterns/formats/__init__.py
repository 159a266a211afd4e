"""Formats of powder patterns, recognised by what a file holds rather than by what it is called."""

from __future__ import annotations

import re

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.files import MOST_TEXT, File, refuse, refuse_cut
from crystalnet.patterns.formats import cif, columns, diffrac, gsas, rigaku, steps, vendors, xrdml
from crystalnet.patterns.scans import Scan

FORMATS = (
    "columns of text (*.xy, *.xye, *.dat, *.txt, *.csv, *.chi ...), pdCIF, XRDML, GSAS, FullProf, Bruker's"
    " RAW, BRML and UXD, Rigaku's RAS, RASX and ASC, Philips' RD and UDF, Jade's MDI, Sietronics' CPI"
)
_BINARY = {  # what is refused by name
    b"RAW_": "STOE's RAW",
    b"FI": "Rigaku's binary RAW",
    b"\x89HDF": "HDF5",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xd0\xcf\x11\xe0": "a file of Excel or Word",
}


def scans_of(file: File) -> list[Scan]:
    r"""Every scan of a file.

    Raises:
        CrystalNetError: a file of no known format, or one that can't be read.

    >>> from pathlib import Path
    >>> lines = [f"{10 + 0.1 * i:.1f} {i % 7}" for i in range(60)]
    >>> scans_of(File(Path("a.xy"), "\n".join(lines).encode()))[0].x[:3]
    array([10. , 10.1, 10.2])
    """
    if not file.data.strip():
        refuse(file.name, "it is empty, and holds no columns of numbers")
    if file.is_text and len(file.data) > MOST_TEXT:
        refuse(file.name, "it is a longer text than any pattern", code=Code.TOO_LARGE)
    if re.match(rb"\s*<(!doctype\s+)?html", file.data, re.IGNORECASE):
        refuse(file.name, "it is a page of HTML", code=Code.UNKNOWN_FORMAT)
    try:
        for reader in (diffrac, vendors, gsas, xrdml, cif, rigaku, steps):
            if reader.recognised(file):
                return reader.read(file)
        if file.is_text:
            return columns.read(file)
    except CrystalNetError:
        raise
    except Exception as error:  # a file can be wrong in more ways than its reader foresees
        refuse_cut(file.name, f"it can't be read ({type(error).__name__})")
    kind = next((kind for mark, kind in _BINARY.items() if file.data.startswith(mark)), "of no known format")
    refuse(
        file.name,
        f"it is a binary file, {kind}",
        f"Export it as .xy or .xrdml with the diffractometer's program; read are {FORMATS}",
        Code.UNKNOWN_FORMAT,
    )
