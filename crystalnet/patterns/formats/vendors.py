r"""Formats that `rietx` reads: Bruker RAW 3 and 4, BRML, UXD; Rigaku RAS, RASX; Philips RD, SD, UDF.

>>> import tempfile
>>> from pathlib import Path
>>> text = "_FILEVERSION=1\n_DRIVE='COUPLED'\n_START=10.0\n_STEPSIZE=0.1\n_STEPTIME=1\n"
>>> text += "_COUNTS\n" + "1 2 3\n" * 20
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "a.uxd"
...     _ = path.write_text(text)
...     recognised(File.at(path)), read(File.at(path))[0].x[:3]
(True, array([10. , 10.1, 10.2]))
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from itertools import count

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse, refuse_cut
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.wavelengths import in_angstrom

MOST_UNPACKED = 512 * 2**20  # bytes of a zipped file, our choice
MOST_SCANS = 200  # of a file, our choice
MOST_PARSED = 64 * 2**20  # bytes, our choice: the library parses a file anew for each of its scans
MOST_OTHERS = 5  # scans that can't be read before the first that can, our choice
_EXPORT = "Export it as .xy or .xrdml with the diffractometer's program"
_MAGIC = (b"RAW1.01", b"RAW4.00", b"V3RD", b"V5RD", b"PK\x03\x04")


def recognised(file: File) -> bool:
    if file.data.startswith(_MAGIC):
        return True
    head = file.text[:4000] if file.is_text else ""
    return (
        head.lstrip().startswith("*RAS_DATA_START")
        or re.search(
            r"(?m)^_(FILEVERSION|START|2THETA|STEPSIZE|DRIVE)\s*=", file.text[:20000] if head else ""
        )
        is not None
        or re.search(r"(?mi)^(SampleIdent|DataAngleRange|ScanStepSize)\s*,", head) is not None
    )


def read(file: File) -> list[Scan]:
    """The scans over two_theta.

    Raises:
        CrystalNetError: the library can't read the file, or it holds no such scan.
    """
    from rietx.io.readers import identify_format  # seconds that other readers do without

    _checked_archive(file)
    try:
        reader = identify_format(file.path)
    except Exception as error:  # whatever its parts raise
        _refuse(file, error)
    scans, others = [], []
    for index in count() if reader.scans else range(1):
        told: list = []
        try:
            chosen = {"scan": index} if reader.scans else {}
            scans.append(_scan(reader.read(file.path, diagnostics=told, **chosen), told))
        except Exception as error:
            if index and "is not one of" in str(error):
                break
            others.append(error)
        if others and not scans and index >= MOST_OTHERS:
            break
        if index + 1 > min(MOST_SCANS, MOST_PARSED / len(file.data) + 1):
            remedy = "Export the one that is meant"
            refuse(file.name, f"it holds more than the {index} scans that are read", remedy, Code.TOO_LARGE)
    if not scans:
        _refuse(file, others[0] if others else ValueError("no scan"))
    scans = _counted(file, scans)
    if others:
        said = f"{len(others)} scans are left out ({_sentence(others[0])[:80]})"
        scans = [replace(scan, said=(*scan.said, said)) for scan in scans]
    return scans


def _checked_archive(file: File) -> None:
    """CrystalNetError if an archive is damaged or would unpack without bounds."""
    if not file.data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        refuse_cut(file.name, f"this archive can't be read ({error})")
    if unpacked > MOST_UNPACKED:
        refuse(
            file.name, f"it unpacks to {unpacked / 2**20:.0f} MB, more than any pattern", code=Code.TOO_LARGE
        )
    if not any(re.search(r"(?i)(profile|rawdata|datacontainer)\d*\.(txt|xml)$", name) for name in names):
        refuse(
            file.name,
            "it is an archive, but neither a BRML nor a RASX",
            "Unpack it, and give the pattern in it",
            Code.UNKNOWN_FORMAT,
        )


def _counted(file: File, scans: list[Scan]) -> list[Scan]:
    """RAS scans with a remark where they hold another number of points than their header says."""
    promised = re.findall(r'(?m)^\*MEAS_DATA_COUNT\s+"(\d+)', file.text) if file.data[:1] == b"*" else []
    if len(promised) != len(scans):
        return scans
    told = [
        scan.said
        if int(n) == len(scan.x)
        else (*scan.said, f"its header promises {n} points, it holds {len(scan.x)}")
        for n, scan in zip(promised, scans, strict=True)
    ]
    return [replace(scan, said=said) for scan, said in zip(scans, told, strict=True)]


def _scan(pattern, told: list) -> Scan:
    if pattern.axis != "two_theta":
        raise ValueError("time of flight, not angles")
    known = pattern.metadata
    wavelength = _float(known.get("wavelength"))
    is_rate = (known.get("intensity_unit") or "").lower() in ("cps", "counts per second")
    sigma = None if pattern.sigma is None else np.array(pattern.sigma, float)
    plain = re.search(
        r"(2|two)\W?theta", known.get("scan_axis") or "", re.IGNORECASE
    )  # however it is written
    not_told = _NOT_TOLD | ({"PATTERN_X_AXIS_ASSUMED"} if plain else set())
    said = tuple(_sentence(one.message) for one in told if one.code not in not_told)
    return Scan(
        np.array(pattern.two_theta, float),
        np.array(pattern.intensity, float),
        sigma,
        wavelength=in_angstrom(wavelength, "A") if wavelength else None,
        title=" ".join(known[key] for key in ("sample", "scan_axis", "temperature_k") if known.get(key)),
        seconds=None if is_rate else _float(known.get("count_time_s")),
        said=said,
    )  # fmt: skip


_NOT_TOLD = {"PATTERN_MULTISCAN_DEFAULTED", "READER_OPTION_IGNORED"}


def _float(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _sentence(message: object) -> str:
    """The first sentence of a message, without the name of the file."""
    text = re.sub(r"\s+", " ", str(message)).strip()
    text = re.sub(r"^\S+\.\w+(: | carries )", "", text)
    return re.split(r"(?<=[a-z\d°)])\. (?=[A-Z])", text)[0].rstrip(".")[:160]


def _refuse(file: File, error: Exception) -> None:
    reason = _sentence(error) if isinstance(error, ValueError) else f"{type(error).__name__}"
    refuse(file.name, f"it can't be read ({reason})", _EXPORT, Code.FILE_UNREADABLE)
