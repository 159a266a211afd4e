"""Formats of powder patterns: the text of a file in, columns of numbers out, for `measured.read_pattern`."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree

import numpy as np

from crystalnet.errors import Code, CrystalNetError

FEWEST = 50  # points, our choice: fewer are a list of peaks rather than a pattern
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_DECIMAL_COMMAS = re.compile(r"\d+,\d+(\s+\d+,\d+)+")
_COMMENTS = ("#", "!", "'", "/*", "*/", "//", '"#')
_COLUMNS = {  # what a header may call a column
    "two_theta": r"2.?th|two.?theta|tth|2.?θ|angle|^x$",
    "d": r"^d$|^d\W|^d.?spacing",
    "q": r"^q\b",
    "counts": r"int|count|cts|y.?obs|^y$|^i\b",
    "sigma": r"sig|esd|e\.s\.d|err|^e$|std",
}


class Columns(NamedTuple):
    """As a file has them: two_theta in degrees, counts, perhaps their standard deviations, (N,) each, and the
    wavelength in Å."""

    two_theta: np.ndarray
    counts: np.ndarray
    sigma: np.ndarray | None
    wavelength: float | None


def refuse(
    name: str, cause: str, remedy: str = "Export the pattern anew: two_theta in degrees, counts"
) -> NoReturn:
    raise CrystalNetError(f"{name}: {cause}. {remedy}.", Code.NOT_A_PATTERN)


def _columns(text: str, name: str, wavelength: float | None) -> Columns:
    """Numbers in columns below any header."""
    rows, header, comments, in_comment = [], [], [], False
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        fields = _fields(line)
        in_comment = (in_comment or line.startswith("/*")) and "*/" not in line
        if not line or in_comment or line.startswith(_COMMENTS):
            comments.append(line)
        elif all(_NUMBER.fullmatch(field) for field in fields) and len(fields) > 1:
            if rows and len(fields) != len(rows[0]):
                refuse(
                    name,
                    f"line {number} holds {len(fields)} numbers, not {len(rows[0])}. The file may be cut",
                )
            rows.append([float(field) for field in fields])
        elif rows:
            refuse(name, f"line {number} is not a row of numbers ({line[:40]!r}). The file may be cut")
        else:
            header = fields
            comments.append(line)
    if not rows:
        refuse(name, "it holds no columns of numbers")
    table = np.array(rows).T
    if not header and comments:
        header = _fields(next((c for c in reversed(comments) if c), "").lstrip("#!'/* "))
    place = _named_columns(header, len(table))
    found = re.search(r"(?:wavelength|lambda)[^\d\n]{0,20}(\d*\.\d+)", "\n".join(comments), re.IGNORECASE)
    wavelength = wavelength or (float(found[1]) if found else None)
    if "two_theta" not in place and "counts" in place and ("d" in place or "q" in place):
        if wavelength is None:
            refuse(name, "it gives d or q instead of angles", "Give the wavelength that angles belong to")
        with np.errstate(divide="ignore"):
            s = 0.5 / table[place["d"]] if "d" in place else table[place["q"]] / (4 * np.pi)
        reached = s * wavelength <= 1
        table, s = table[:, reached], s[reached]
        two_theta = 2 * np.degrees(np.arcsin(s * wavelength))
    else:
        two_theta = table[place.get("two_theta", 0)]
    third = 2 if len(table) == 3 and not header and not name.lower().endswith("csv") else None
    sigma = place.get("sigma", 2 if name.lower().endswith(".xye") and len(table) > 2 else third)
    counts = table[place.get("counts", 1)]
    return Columns(two_theta, counts, None if sigma is None else table[sigma], wavelength)


def _fields(line: str) -> list[str]:
    """The fields of a line; a comma is a decimal one where something else parts the columns."""
    if ";" in line or "\t" in line or _DECIMAL_COMMAS.fullmatch(line):
        line = re.sub(r"(?<=\d),(?=\d)", ".", line)
    return [field.strip("\"'") for field in re.split(r"[,;\s]+", line.strip(",;\t ")) if field]


def _named_columns(header: list[str], n_columns: int) -> dict[str, int]:
    """The columns that a header names, by their place; none if it isn't the header of `n_columns`."""
    place: dict[str, int] = {}
    if len(header) == n_columns:
        for column, title in enumerate(header):
            kind = next((k for k, known in _COLUMNS.items() if re.search(known, title.lower())), None)
            if kind:
                place.setdefault(kind, column)
    x = {"two_theta", "d", "q"} & set(place)
    return place if x and "counts" in place else {}


def _cif(text: str, name: str, wavelength: float | None) -> Columns:
    from pymatgen.io.cif import CifFile  # 80 MB and seconds that other readers do without

    try:
        blocks = [block.data for block in CifFile.from_str(text).data.values()]
    except Exception as error:  # the parser raises whatever its parts do
        refuse(name, f"this CIF can't be read ({type(error).__name__})", "Correct it")
    for block in blocks:
        columns = {key.lower(): value for key, value in block.items() if isinstance(value, list)}
        single = {key.lower(): value for key, value in block.items() if isinstance(value, str)}
        measured = next((columns[key] for key in _CIF_COUNTS if len(columns.get(key, ())) >= FEWEST), None)
        if measured is None:
            continue
        counts, sigma = _with_esd(measured)
        angles = next((columns[key] for key in _CIF_ANGLES if len(columns.get(key, ())) == len(counts)), None)
        if angles is not None:
            two_theta = _with_esd(angles)[0]
        else:
            limits = (
                _with_esd([single.get(f"_pd_{of}_2theta_range_{end}", "?") for end in ("min", "inc")])[0]
                for of in ("meas", "proc")
            )
            start, step = next((ends for ends in limits if np.isfinite(ends).all()), (np.nan, np.nan))
            two_theta = start + step * np.arange(len(counts))
        known = np.isfinite(counts) | (np.array(measured) != ".")  # '.' marks what was not measured
        sigma = sigma[known] if np.isfinite(sigma[known]).all() else None
        return Columns(two_theta[known], counts[known], sigma, wavelength or _cif_wavelength(blocks))
    refuse(name, "this CIF holds no powder pattern", "Give one with _pd_meas_ or _pd_proc_ intensities")


def _cif_wavelength(blocks: list[dict]) -> float | None:
    for block in blocks:
        for key in ("_diffrn_radiation_wavelength", "_pd_proc_wavelength"):
            value = block.get(key, "?")
            first = _with_esd([value] if isinstance(value, str) else value[:1])[0]
            if len(first) and first[0] > 0:
                return float(first[0])
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
                sigmas[i] = float(found[3]) * 10.0 ** -len(found[2])
    return values, sigmas


def _xrdml(text: str, name: str, wavelength: float | None) -> Columns:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # could unfold without end; XRDML has none
        refuse(name, "it declares entities, as no XRDML does")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        refuse(name, f"this XML can't be read ({error}). The file may be cut")
    points = next(root.iterfind(".//{*}scan/{*}dataPoints"), None)
    positions = (
        [] if points is None else [p for p in points.iterfind("{*}positions") if p.get("axis") == "2Theta"]
    )
    recorded = next(
        (tag for tag in ("counts", "intensities") if points is not None and points.findtext(f"{{*}}{tag}")),
        None,
    )
    if not positions or recorded is None:
        refuse(name, "it holds no scan over 2Theta")
    try:
        counts = np.array(points.findtext(f"{{*}}{recorded}").split(), float)
        if factors := points.findtext("{*}beamAttenuationFactors") if recorded == "counts" else None:
            counts = counts * np.array(factors.split(), float)
        listed = positions[0].findtext("{*}listPositions")
        ends = [float(positions[0].findtext(f"{{*}}{end}Position", "nan")) for end in ("start", "end")]
        two_theta = np.array(listed.split(), float) if listed else np.linspace(*ends, len(counts))
        used = float(root.findtext(".//{*}usedWavelength/{*}kAlpha1") or "nan")
    except ValueError as error:
        refuse(name, f"a number can't be read ({error}). The file may be cut")
    return Columns(two_theta, counts, None, wavelength or (used if used > 0 else None))


def _gsas(text: str, name: str, wavelength: float | None) -> Columns:
    """GSAS' first bank: STD has ten numbers a line, ESD five pairs, FXY and FXYE one point; centidegrees."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("BANK")), None)
    if start is None:
        return _columns(text, name, wavelength)
    bank = lines[start].split()
    kind = bank[-1] if bank[-1] in ("STD", "ESD", "FXY", "FXYE") else "STD"
    end = next((i for i, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("BANK")), None)
    try:
        n, binning, first, step = int(bank[2]), bank[4], float(bank[5]), float(bank[6])
        body = [line for line in lines[start + 1 : end] if line.strip() and not line.startswith("#")]
        rows = [_gsas_row(line, kind) for line in body]
        values = np.array([pair for row in rows for pair in row])[:n]
    except (ValueError, IndexError) as error:
        refuse(name, f"its BANK can't be read ({error}). The file may be cut")
    if binning not in ("CONST", "CONS", "COND") and not kind.startswith("FXY"):
        refuse(name, f"its BANK is of type {binning}, not of angles in constant steps")
    if len(values) < n:
        refuse(name, f"its BANK promises {n} points and holds {len(values)}. The file is cut")
    two_theta = values[:, 0] / 100 if kind.startswith("FXY") else (first + step * np.arange(n)) / 100
    return Columns(two_theta, values[:, 1], values[:, 2], wavelength)


def _gsas_row(line: str, kind: str) -> list[tuple[float, float, float]]:
    """(angle or 0, counts, sigma or 0) of the points of a line."""
    if kind.startswith("FXY"):
        angle, counts, *sigma = (float(x) for x in line.split())
        return [(angle, counts, sigma[0] if sigma else 0.0)]
    line = line.rstrip()
    if kind == "ESD":
        numbers = [float(x) for x in (_fixed(line) if len(line) > 72 else line.split())]
        return [(0.0, y, e) for y, e in zip(numbers[::2], numbers[1::2], strict=True)]
    if len(line) % 8:  # written without columns
        return [(0.0, float(x), 0.0) for x in line.split()]
    # two places for the number of detectors, six for the counts
    return [(0.0, float(field[2:]), 0.0) for field in _fixed(line)]


def _fixed(line: str) -> list[str]:
    """Fields of eight places."""
    return [line[i : i + 8] for i in range(0, len(line), 8)]


_CIF_COUNTS = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
    "_pd_meas_intensity_net",
)
_CIF_ANGLES = ("_pd_proc_2theta_corrected", "_pd_meas_2theta_scan", "_pd_meas_2theta_corrected")
READERS = {suffix: _columns for suffix in (".xy", ".xye", ".dat", ".txt", ".csv")}
READERS |= {suffix: _gsas for suffix in (".gsas", ".gss", ".gsa", ".fxye", ".raw")}
READERS |= {".cif": _cif, ".xrdml": _xrdml}
