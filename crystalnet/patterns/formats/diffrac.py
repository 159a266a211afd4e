r"""Siemens' and Bruker's RAW of DIFFRAC-AT, versions 1 and 2: small binary headers, floats behind them.

Fields as in the manual's appendix "DIFFRAC-AT raw data file format", by way of xylib's description.

>>> from pathlib import Path
>>> header = b"RAW " + struct.pack("<Iff", 100, 1.0, 0.02) + bytes(8) + struct.pack("<f", 10.0)
>>> file = File(Path("a.raw"), header.ljust(160, b"\0") + np.ones(100, "<f4").tobytes())
>>> recognised(file), read(file)[0].x[:3]
(True, array([10.  , 10.02, 10.04]))
"""

from __future__ import annotations

import struct

import numpy as np

from crystalnet.patterns.files import File, refuse_cut
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.wavelengths import in_angstrom

_MOST_RANGES = 1000  # our choice


def recognised(file: File) -> bool:
    return file.data.startswith((b"RAW ", b"RAW2"))


def read(file: File) -> list[Scan]:
    """The ranges; CrystalNetError if the file is cut or its headers make no sense."""
    try:
        scans = (_version_2 if file.data.startswith(b"RAW2") else _version_1)(file.data)
    except (struct.error, ValueError) as error:
        refuse_cut(file.name, f"this RAW can't be read ({error})")
    for scan in scans:
        if not (len(scan.x) and 0 < np.ptp(scan.x) < 200 and abs(scan.x[0]) < 181):
            refuse_cut(file.name, "the headers of this RAW make no sense")
    return scans


def _version_2(data: bytes) -> list[Scan]:
    (n_ranges,) = struct.unpack_from("<H", data, 4)
    wavelength = in_angstrom(struct.unpack_from("<f", data, 190)[0], "A")
    place, scans = 256, []
    for _ in range(n_ranges):
        length, n = struct.unpack_from("<HH", data, place)
        seconds, step, start = struct.unpack_from("<fff", data, place + 8)
        if length < 48:
            raise ValueError(f"a header of {length} bytes")
        scans.append(
            _scan(data, place + length, n, start=start, step=step, wavelength=wavelength, seconds=seconds)
        )
        place += length + 4 * n
    if not scans:
        raise ValueError("no range")
    return scans


def _version_1(data: bytes) -> list[Scan]:
    place, scans, more = 4, [], 1
    while more:
        if data[place : place + 4] == b"RAW ":  # later programs repeat the mark
            place += 4
        n, seconds, step = struct.unpack_from("<Iff", data, place)
        (start,) = struct.unpack_from("<f", data, place + 20)
        wavelength = in_angstrom(struct.unpack_from("<f", data, place + 72)[0], "A")
        (more,) = struct.unpack_from("<I", data, place + 152)
        scans.append(
            _scan(data, place + 156, n, start=start, step=step, wavelength=wavelength, seconds=seconds)
        )
        place += 156 + 4 * n
        if len(scans) > _MOST_RANGES:
            raise ValueError("too many ranges")
    return scans


def _scan(
    data: bytes, place: int, n: int, *, start: float, step: float, wavelength: float | None, seconds: float
) -> Scan:
    if place + 4 * n > len(data):
        raise ValueError(f"{n} points promised")
    counts = np.frombuffer(data, "<f4", n, place).astype(float)
    start, step = round(float(start), 6), round(float(step), 6)  # single precision, written as a few decimals
    return Scan(
        start + step * np.arange(n), counts, wavelength=wavelength, seconds=seconds if seconds > 0 else None
    )
