r"""Patterns in columns of text, with or without a header: whatever writes no format of its own.

>>> from pathlib import Path
>>> lines = ["2theta counts", *(f"{10 + 0.1 * i:.1f} {i % 7}" for i in range(60))]
>>> read(File(Path("a.xy"), "\n".join(lines).encode()))[0].x[:3]
array([10. , 10.1, 10.2])
>>> refuse_neutrons("neutron powder diffraction", "a.xy")
Traceback (most recent call last):
    ...
crystalnet.errors.CrystalNetError: a.xy: it holds neutrons, not X-rays ...
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse
from crystalnet.patterns.formats.deviations import is_deviation, observed_first
from crystalnet.patterns.formats.headers import Header, header_of
from crystalnet.patterns.formats.tables import FEWEST, Table, runs_of, table_of
from crystalnet.patterns.scans import Scan
from crystalnet.patterns.units import TWO_THETA, UnknownAxisError
from crystalnet.patterns.wavelengths import in_angstrom, stated

_NEUTRONS = re.compile(
    r"time[\s-]of[\s-]flight|\bTOF\b|\bneutrons?\b.{0,30}(diffract|powder|source|radiation|probe|data|beam)|"
    r"(probe|radiation|particle|source|beam)\W{0,4}(type)?\W{0,4}neutron",
    re.IGNORECASE,
)
HIGHEST_D = 30.0  # Å, our choice: beyond it a first column without a header is no d
_NO_HEADER = "no header names the columns: the first is taken as two_theta in degrees"
_GENERIC = re.compile(r"|x|a|col(umn)?[\s_]*\d*|channel_?x|unnamed.*|f1|v1|data", re.IGNORECASE)


def read(file: File) -> list[Scan]:
    """The scans of a text with columns.

    Raises:
        CrystalNetError: no columns, or an x that is no scattering angle.
    """
    table = table_of(file.text, file.name)
    above = "\n".join(table.header)
    refuse_neutrons(above, file.name)
    try:
        header = header_of(table.header, table.rows.shape[1], table.separator)
    except UnknownAxisError as error:
        refuse(file.name, f"the x of its header is {error}, no scattering angle", code=_code_of(error))
    wavelength, remark = stated(above)
    if wavelength is None and not remark:
        wavelength, remark = _lone_wavelength(table.header)
    said = table.said + ([remark] if remark else [])
    header, remarks = _placed(header, table, file)
    said += remarks
    return [
        replace(scan, wavelength=wavelength, said=(*said, *scan.said))
        for column, title in _observed(header)
        for scan in _scans(header, table, column, title, file)
    ]


def _code_of(error: UnknownAxisError) -> Code:
    return Code.NOT_X_RAYS if "time of flight" in str(error) else Code.UNKNOWN_UNIT


def refuse_neutrons(text: str, name: str) -> None:
    """CrystalNetError if the text says that neutrons were counted."""
    if found := _NEUTRONS.search(text):
        what = "neutrons, not X-rays" if "neutron" in found[0].lower() else "time of flight, not angles"
        refuse(name, f"it holds {what} ({found[0]!r})", "Give a pattern of X-rays", Code.NOT_X_RAYS)


def _lone_wavelength(lines: list[str]) -> tuple[float | None, str]:
    """A number alone above the table, as DASH writes its wavelength."""
    if lines and re.fullmatch(r"\d*\.\d+", lines[0]) and (value := in_angstrom(float(lines[0]), "A")):
        return value, f"the number above the table, {value:g}, is taken as the wavelength in Å"
    return None, ""


def _placed(header: Header, table: Table, file: File) -> tuple[Header, list[str]]:
    """The header completed by what the columns hold, and what was taken for granted."""
    observed = header.roles.get("observed")
    if header.axis is None and observed:
        label = header.labels[0].strip()
        if 0 in observed or (0 in header.unnamed and not _GENERIC.fullmatch(label)):
            refuse(
                file.name,
                f"its first column is called {label[:40]!r}, of which no angle is known",
                "Call it two_theta, theta, q, d or s, with the unit in brackets",
                Code.UNKNOWN_UNIT,
            )
        return replace(header, axis=TWO_THETA), [_NO_HEADER]
    if header.axis is None:
        return _without_header(table, file)
    if observed:
        return header, []
    if header.unnamed:
        told = [f"column {header.labels[i][:30]!r} is taken as counts" for i in header.unnamed[:1]]
        return header, told
    others = [i for i in range(table.rows.shape[1]) if i != header.x and not _is_taken(header, i)]
    if not others:
        refuse(file.name, f"no column of {', '.join(header.labels)[:60]} holds observed counts")
    return _by_content(header, table, file, others)


def _without_header(table: Table, file: File) -> tuple[Header, list[str]]:
    """What the columns are taken as, unless the first can't be an angle."""
    header, said = Header(axis=TWO_THETA), [_NO_HEADER]
    others = list(range(1, table.rows.shape[1]))
    x = table.rows[:, 0]
    if len(x) >= FEWEST and (np.diff(x) == 1).all() and x[0] in (0, 1):
        if len(others) < 2 or not (np.diff(table.rows[:, 1]) > 0).all():
            refuse(
                file.name,
                "its first column counts 0, 1, 2 ..., an index rather than an angle",
                code=Code.UNKNOWN_UNIT,
            )
        header, others = replace(header, x=1), others[1:]
        said = ["no header names the columns: the first counts points, the second is taken as two_theta"]
    if _is_like_d(table.rows[:, header.x]):
        refuse(
            file.name,
            "its first column has uneven steps, as d has, and no header names it",
            "Write a header such as 'd (Å), counts'",
            Code.UNKNOWN_UNIT,
        )
    placed, more = _by_content(header, table, file, others)
    return placed, said + more


def _is_like_d(x: np.ndarray) -> bool:
    """Whether steps grow with x all the way, as those of d over even angles do: with its square."""
    steps = np.diff(x)
    if len(steps) < FEWEST or not ((steps > 0).all() or (steps < 0).all()) or np.abs(x).max() > HIGHEST_D:
        return False
    steps, n = np.abs(steps if steps[0] > 0 else steps[::-1]), len(steps) // 10
    parts = [np.median(steps[i * n : (i + 1) * n]) for i in range(10)]
    return bool(np.all(np.diff(parts) >= 0) and parts[-1] > 1.5 * parts[0])


def _is_taken(header: Header, column: int) -> bool:
    return any(column in columns for columns in header.roles.values())


def _by_content(header: Header, table: Table, file: File, others: list[int]) -> tuple[Header, list[str]]:
    """The observed column of those beside x, and the deviations among the rest."""
    said = []
    first, *rest = others
    columns = table.rows.T
    if rest and np.isfinite(table.rows).all() and len(table.rows) >= FEWEST:
        pair = columns[first], columns[rest[0]]
        if not is_deviation(*reversed(pair)) and not observed_first(*pair):
            said.append(f"column {first + 1} is smooth, column {rest[0] + 1} is taken as observed")
            first, rest = rest[0], [first, *rest[1:]]
    roles = dict(header.roles) | {"observed": [first]}
    if rest and "sigma" not in roles:
        told = file.suffix in (".xye", ".fxye", ".esd")
        if told or is_deviation(columns[rest[0]], columns[first]):
            roles["sigma"] = [rest[0]]
            rest = rest[1:]
    if rest and not said:
        listed = ", ".join(str(i + 1) for i in rest)
        said.append(f"column {listed} holds no standard deviations of column {first + 1} and is left out")
    return replace(header, roles=roles), said


def _observed(header: Header) -> list[tuple[int, str]]:
    """The columns of observed counts, each a pattern, and their labels."""
    columns = header.roles.get("observed") or header.unnamed
    if len(columns) > 1:  # such as 'I raw' beside 'I'
        raw = [
            i
            for i in columns
            if not re.search(r"raw|net|norm|corr|smooth|\brel|%", header.labels[i], re.IGNORECASE)
        ]
        columns = raw or columns
    return [(i, header.labels[i] if header.labels else "") for i in columns]


def _scans(header: Header, table: Table, column: int, title: str, file: File) -> list[Scan]:
    """One observed column, parted where x begins again."""
    x, counts = table.rows[:, header.x], table.rows[:, column]
    sigma, said = None, []
    if places := header.roles.get("sigma"):
        place = next((i for i in places if i > column), places[0])
        if is_deviation(table.rows[:, place], counts, told=True):
            sigma = table.rows[:, place]
        else:
            said.append(f"column {place + 1} can't be the standard deviations of the counts and is left out")
    asides = [k for k in ("calculated", "background", "difference", "weight") if header.roles.get(k)]
    if asides and header.labels:
        said.append(f"columns of {', '.join(asides)} intensities are left out")
    if (runs := runs_of(x)) is None:
        said.append("points out of order are sorted")
        runs = [slice(0, len(x))]
    scans = []
    for run in runs:
        caption = table.breaks.get(run.start, "")
        if run.start == 0 and len(runs) > 1 and table.header:
            caption = table.header[-1].strip("#!;*/% '\"")
        scans.append(
            Scan(
                x[run], counts[run], None if sigma is None else sigma[run], header.axis,
                title=" ".join(filter(None, [title if column else "", caption[:40]])), said=tuple(said),
            )
        )  # fmt: skip
    return scans
