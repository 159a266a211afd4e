"""XRDML of Malvern Panalytical: every scan over two_theta.

>>> from pathlib import Path
>>> text = '<xrdMeasurements><xrdMeasurement><scan scanAxis="Gonio"><dataPoints><positions axis="2Theta">'
>>> text += "<startPosition>10</startPosition><endPosition>12</endPosition></positions>"
>>> text += "<counts>1 2 3</counts></dataPoints></scan></xrdMeasurement></xrdMeasurements>"
>>> file = File(Path("a.xrdml"), text.encode())
>>> recognised(file), read(file)[0].x
(True, array([10., 11., 12.]))
"""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse, refuse_cut
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.units import TWO_THETA
from crystalnet.patterns.wavelengths import in_angstrom


def recognised(file: File) -> bool:
    return file.is_text and ("<xrdMeasurement" in file.text[:20000] or file.suffix == ".xrdml")


def read(file: File) -> list[Scan]:
    """The scans over two_theta; others, such as rocking curves, are left out.

    Raises:
        CrystalNetError: XML that can't be read, or no such scan.
    """
    name = file.name
    if "<!DOCTYPE" in file.text or "<!ENTITY" in file.text:  # could unfold without end; XRDML has none
        refuse(name, "it declares entities, as no XRDML does", code=Code.FILE_UNREADABLE)
    try:
        root = ElementTree.fromstring(file.text.encode() if "encoding=" not in file.text[:200] else file.data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        refuse_cut(name, f"this XML can't be read ({error})")
    scans, others = [], []
    measurements = list(root.iterfind(".//{*}xrdMeasurement")) or [root]
    for measurement in measurements:
        wavelength = _wavelength(measurement, root)
        for scan in measurement.iterfind(".//{*}scan"):
            try:
                found = _scan(scan, wavelength, name)
            except (ValueError, AttributeError) as error:
                refuse_cut(name, f"a number can't be read ({error})")
            if found is None:
                others.append(scan.get("scanAxis", "unknown"))
            else:
                scans.append(found)
    if not scans:
        refuse(
            name,
            f"it holds no scan over 2Theta{', only over ' + ', '.join(others[:3]) if others else ''}",
            code=Code.UNKNOWN_UNIT if others else Code.NOT_A_PATTERN,
        )
    if others:
        said = f"{len(others)} scans over {', '.join(sorted(set(others)))[:40]} are left out"
        scans = [replace(scan, said=(*scan.said, said)) for scan in scans]
    return scans


def _wavelength(measurement, root) -> float | None:
    used = measurement.find(".//{*}usedWavelength")
    used = root.find(".//{*}usedWavelength") if used is None else used
    if used is None:
        return None
    line = "kBeta" if "beta" in (used.get("intended") or "").lower() else "kAlpha1"
    element = used.find(f"{{*}}{line}")
    if element is None or not element.text:
        return None
    try:
        return in_angstrom(float(element.text), element.get("unit") or "A")
    except ValueError:
        return None


def _scan(scan, wavelength: float | None, name: str) -> Scan | None:
    """One scan; None if it doesn't run over two_theta."""
    points = scan.find("{*}dataPoints")
    if points is None:
        return None
    positions = [p for p in points.iterfind("{*}positions") if (p.get("axis") or "").lower() == "2theta"]
    recorded = next((tag for tag in ("counts", "intensities") if points.findtext(f"{{*}}{tag}")), None)
    if not positions or recorded is None or positions[0].find("{*}commonPosition") is not None:
        return None
    said = ()
    counts = np.array(points.findtext(f"{{*}}{recorded}").split(), float)
    if factors := points.findtext("{*}beamAttenuationFactors") if recorded == "counts" else None:
        counts = counts * np.array(factors.split(), float)
        said = ("counts are multiplied by the factors of the attenuator",)
    if listed := positions[0].findtext("{*}listPositions"):
        x = np.array(listed.split(), float)
    else:
        x = np.linspace(
            *(float(positions[0].findtext(f"{{*}}{end}Position", "nan")) for end in ("start", "end")),
            len(counts),
        )
    if len(x) != len(counts):
        refuse_cut(name, f"a scan holds {len(x)} angles and {len(counts)} counts")
    if len(x) > 1 and np.ptp(x) == 0:
        return None
    if (positions[0].get("unit") or "deg").lower().startswith("rad"):
        x = np.degrees(x)
    unit = (points.find(f"{{*}}{recorded}").get("unit") or "counts").lower()
    time = points.findtext("{*}commonCountingTime")
    seconds = float(time) if time and unit == "counts" else None
    return Scan(x, counts, None, TWO_THETA, wavelength, scan.get("scanAxis", ""), seconds, said)
