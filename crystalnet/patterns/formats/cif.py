r"""pdCIF: patterns as journals and databases keep them.

>>> from pathlib import Path
>>> text = "data_a\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n"
>>> text += "\n".join(f"{10 + 0.1 * i:.1f} {i % 7}" for i in range(60))
>>> file = File(Path("a.cif"), text.encode())
>>> recognised(file), read(file)[0].x[:3], read(file)[0].title
(True, array([10. , 10.1, 10.2]), 'a')
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import NoReturn

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse, refuse_cut
from crystalnet.patterns.formats.tables import FEWEST
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.units import TWO_THETA, Axis
from crystalnet.patterns.wavelengths import in_angstrom, principal

_COUNTS = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
    "_pd_meas_intensity_net",
)
_AXES = {
    "_pd_proc_2theta_corrected": TWO_THETA,
    "_pd_meas_2theta_scan": TWO_THETA,
    "_pd_meas_2theta_corrected": TWO_THETA,
    "_pd_proc_recip_len_q": Axis("q"),
    "_pd_proc_d_spacing": Axis("d"),
}
_TIMES = ("_pd_meas_time_of_flight", "_pd_proc_energy_incident", "_pd_proc_energy_detection")
_WAVELENGTHS = ("_diffrn_radiation_wavelength", "_pd_proc_wavelength", "_diffrn_radiation_wavelength_value")


def recognised(file: File) -> bool:
    return file.is_text and (
        file.suffix == ".cif"
        or (
            "_pd_" in file.text and re.search(r"(?im)^[ \t]*data_\S*[ \t]*$", file.text[:100_000]) is not None
        )
    )


def read(file: File) -> list[Scan]:
    """The blocks that hold a measured pattern of X-rays.

    Raises:
        CrystalNetError: a CIF that can't be read, holds none, or one that is cut.
    """
    from pymatgen.io.cif import CifFile  # 80 MB and seconds that other readers do without

    name = file.name
    try:
        with warnings.catch_warnings(record=True) as left_out:  # the parser warns of what it can't place
            warnings.simplefilter("always")
            data = CifFile.from_str(file.text).data
        blocks = {
            title: {key.lower(): value for key, value in block.data.items()} for title, block in data.items()
        }
    except Exception as error:  # the parser raises whatever its parts do
        refuse(name, f"this CIF can't be read ({type(error).__name__})", "Correct it", Code.FILE_UNREADABLE)
    doubts = (f"{len(left_out)} lines of this CIF are not understood and left out",) if left_out else ()
    scans, neutrons = [], None
    for title, block in blocks.items():
        measured = next((key for key in _COUNTS if _length(block, key) >= FEWEST), None)
        if measured is None:
            continue
        if why := _no_x_rays(block, blocks):
            neutrons = why
            continue
        scan = _scan(title, block, measured, _wavelength(block, blocks), name)
        scans.append(replace(scan, said=scan.said + doubts))
    if not scans and neutrons:
        refuse(name, f"it holds {neutrons}", "Give a pattern of X-rays", Code.NOT_X_RAYS)
    if not scans:
        _refuse_structure(name, blocks)
    if neutrons:
        scans = [replace(scan, said=(*scan.said, f"blocks of {neutrons} are left out")) for scan in scans]
    return scans


def _refuse_structure(name: str, blocks: dict[str, dict]) -> NoReturn:
    if any(
        _length(block, key) >= FEWEST
        for block in blocks.values()
        for key in block
        if key.startswith("_pd_calc_")
    ):
        refuse(
            name,
            "this CIF holds a calculated pattern only",
            "Give one with _pd_meas_ or _pd_proc_ intensities",
        )
    refuse(name, "this CIF holds no powder pattern", "Give one with _pd_meas_ or _pd_proc_ intensities")


def _length(block: dict, key: str) -> int:
    value = block.get(key)
    return len(value) if isinstance(value, list) else 0


def _texts(value) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]


def _no_x_rays(block: dict, blocks: dict[str, dict]) -> str:
    """What a block holds instead of X-rays at angles."""
    probes = (
        block if any(key in block for key in ("_diffrn_radiation_probe", "_diffrn_radiation_type")) else None
    )
    probes = probes or (next(iter(blocks.values())) if len(blocks) == 1 else {})
    for key in ("_diffrn_radiation_probe", "_diffrn_radiation_type"):
        probe = " ".join(_texts(probes.get(key))).lower()
        if "neutron" in probe or "electron" in probe:
            return "neutrons, not X-rays" if "neutron" in probe else "electrons, not X-rays"
    angles = any(key in block for key in (*_AXES, "_pd_meas_2theta_range_min", "_pd_proc_2theta_range_min"))
    if not angles and any(key in block for key in _TIMES):
        return "time of flight or energies, not angles"
    return ""


def _scan(title: str, block: dict, measured: str, wavelength: float | None, name: str) -> Scan:
    texts = block[measured]
    counts, sigma = _with_esd(texts)
    place, axis = next(
        ((key, axis) for key, axis in _AXES.items() if _length(block, key) == len(counts)), (None, TWO_THETA)
    )
    promised = _with_esd(_texts(block.get(f"{measured[:8]}_number_of_points")))[0]
    if len(promised) and promised[0] > len(counts) + 1:
        refuse_cut(name, f"it promises {promised[0]:.0f} points and holds {len(counts)}")
    x = _with_esd(block[place])[0] if place else _range(block, measured, len(counts), name)
    known = np.isfinite(counts) | (np.array(texts) != ".")  # '.' marks what was not measured
    n_unknown = int((~known).sum())
    said = (f"{n_unknown} points that were not measured are left out",) if n_unknown else ()
    sigma = sigma[known] if np.isfinite(sigma[known]).all() else None
    return Scan(x[known], counts[known], sigma, axis, wavelength, title, None, said)


def _range(block: dict, measured: str, n: int, name: str) -> np.ndarray:
    """The angles of a range of constant steps, which must have as many points as there are counts."""
    prefixes = ["_pd_meas", "_pd_proc"] if measured.startswith("_pd_meas") else ["_pd_proc", "_pd_meas"]
    promised = None
    for prefix in prefixes:
        words = [
            (_texts(block.get(f"{prefix}_2theta_range_{end}")) or ["?"])[0] for end in ("min", "max", "inc")
        ]
        low, high, step = _with_esd(words)[0]
        if not np.isfinite([low, step]).all():
            continue
        if not np.isfinite(high):
            return low + step * np.arange(n)
        promised = round((high - low) / step) + 1 if step > 0 else 0
        if abs(promised - n) <= 1:
            return low + step * np.arange(n)
    if promised is None:
        refuse(name, "this CIF gives no angles, no finite range of them, and neither q nor d")
    refuse_cut(name, f"its range promises {promised} points and it holds {n}")


def _wavelength(block: dict, blocks: dict[str, dict]) -> float | None:
    """Of a block, or else of any other; K-alpha-1 of a list."""
    for one in (block, *blocks.values()):
        for key in _WAVELENGTHS:
            values = _with_esd(_texts(one.get(key)))[0]
            values = [in_angstrom(value, "A") for value in values[np.isfinite(values)]]
            if found := principal([value for value in values if value]):
                return found
    return None


def _with_esd(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """CIF's numbers, such as 1.234(5), and their standard deviations; NaN for what is absent."""
    values, sigmas = np.full((2, len(texts)), np.nan)
    for i, text in enumerate(texts):
        if found := re.fullmatch(r"([+-]?\d*\.?(\d*)(?:[eE][+-]?\d+)?)(?:\((\d+)\))?", text.strip()):
            if not any(c.isdigit() for c in found[1]):
                continue
            values[i] = float(found[1])
            if found[3]:
                exponent = re.search(r"[eE]([+-]?\d+)", found[1])
                sigmas[i] = float(found[3]) * 10.0 ** ((int(exponent[1]) if exponent else 0) - len(found[2]))
    return values, sigmas
