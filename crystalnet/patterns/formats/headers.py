"""What the lines above a table call its columns."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass, field

from crystalnet.patterns.units import Axis, UnknownAxisError, axis_of

_ROLES = {  # the first that fits; observed intensities come last
    "calculated": r"calc|cal(?![a-z])|model|\bfit\b|\bsim\b|simul|rietveld|_c$|^yc\b|^ic\b",
    "background": r"b[ac]*k?g(r|d|nd|ound)?(\b|_)|back|baseline|\bbase\b|untergrund|fond\b",
    "difference": r"diff|resid|obs.*-.*cal|obs.*-.*b|delta[_\s]*(y|i)|minus",
    "sigma": r"sig|σ|esd|e\.s\.d|\berr|error|std|stdev|uncert|^e$|^d[iy]$|^[iy]_?err|deviation|±|\+/-|fehler",
    "weight": r"weight|^wt?$",
    "aside": r"\btime\b|monitor|\btemp|h\b\W+k\b|^[hkl]$|multipl|^mon|^i0$|transm|\bn_?pix|attenu|^mask|flag",
    "observed": r"(?<![a-z])int|count|cts|cps|impuls|y.?obs|i.?obs|obs|meas|signal|^y$|^i\b|^i[_(/\[]|"
    r"^y[_(/\[]|raw|data|profile|exp\b|exper|intensit|yield|\bdet|^s\(q\)|강도|强度|強度",
}
LONGEST_LINE = 500  # that names columns, our choice
_AXIS_LINE = re.compile(
    r"(?:x[\s_-]*(?:axis|label|units?|column|values?)|abscissa|units?|column\s*(?:1|one|a)|first\s+column)\W*[:=]\s*(.+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Header:
    """What is known of a table's columns: labels if a line gives them, the axis, its column, those of each
    role."""

    labels: list[str] = field(default_factory=list)
    axis: Axis | None = None
    x: int = 0
    roles: dict[str, list[int]] = field(default_factory=dict)
    unnamed: list[int] = field(default_factory=list)  # columns whose label says nothing


def header_of(lines: list[str], n_columns: int, separator: str | None) -> Header:
    """From the lines above a table of `n_columns`, the last first; an empty Header if none names its columns.

    Raises:
        UnknownAxisError: the column of x is named, and is no scattering angle.

    >>> header_of(["2theta (deg)  counts  esd"], 3, None).roles
    {'observed': [1], 'sigma': [2]}
    """
    stranger, unknown = None, Header()
    lines = [line for line in lines if len(line) <= LONGEST_LINE]
    if len(lines) == 4 and lines[3].isdecimal():  # FIT2D: title, x, y, number of points
        if (axis := axis_of(lines[1])) is None:
            raise UnknownAxisError(repr(lines[1][:40]))
        return Header([], axis)
    for above, line in enumerate(reversed(lines)):
        for labels in _splits(line, n_columns, separator):
            try:
                header = _named(labels, at_the_table=above == 0)
            except UnknownAxisError as error:
                stranger = stranger or error
                continue
            if header.axis is not None:
                return header
            if header.roles and not unknown.labels:
                unknown = header
    if stranger is not None:
        raise stranger
    axis = _axis_line(lines)
    if axis is not None:
        return Header(unknown.labels, axis, 0, unknown.roles, unknown.unnamed)
    return unknown


def _axis_line(lines: list[str]) -> Axis | None:
    """The axis of a line of its own, as FIT2D writes it or after 'x axis:'; UnknownAxisError as above."""
    for line in lines:
        found = _AXIS_LINE.search(line)
        text = found[1] if found else line.strip(" \t#!'\";*")
        if len(text) > 40 or (not found and not _is_bare_label(text)):
            continue
        if (axis := axis_of(text)) is not None:
            return axis
    return None


def _is_bare_label(text: str) -> bool:
    """Whether a line is a quantity with its unit and nothing more."""
    quantity = (
        r"(2[\s_-]*-?theta|two[\s_-]?theta|tth|2θ|theta|θ|q|s|d[\s_-]?(spacing|value)?|"
        r"scattering vector|momentum transfer|energy|omega|azimuth|time[\s-]of[\s-]flight|tof|channel|pixel)"
    )
    unit = r"([\s_]*(scattering\s+)?(angle|vector|axis)?\s*[\[({/]?[\s\w°µ./^*-]{0,24}[\])}]?)"
    text = unicodedata.normalize("NFKC", text).lower().strip()
    if re.search(r"[\s:=]\d+(\.\d+)?(\s|$)", text):
        return False  # a value
    return re.fullmatch(quantity + r"(?![a-z])" + unit, text) is not None and len(text.split()) < 5


def _splits(line: str, n_columns: int, separator: str | None) -> list[list[str]]:
    """The ways to cut a line into `n_columns` labels."""
    line = re.sub(r"^\s*(#L\s|[#!;*%/'\"]+(?=\s|\w))", "", line).strip()
    ways = []
    if separator and separator in line:
        ways.append(next(csv.reader([line], delimiter=separator, skipinitialspace=True)))
    if "\t" in line:
        ways.append(line.split("\t"))
    if "," in line:
        ways.append(next(csv.reader([line], skipinitialspace=True)))
    ways.append(re.split(r"\s{2,}", line))
    # a unit in brackets belongs to its label
    glued = re.sub(r"\s*([\[({][^\])}]*[\])}])", lambda found: re.sub(r"\s", "", found[1]), line)
    glued = re.sub(r"\s*/\s*", "/", glued)
    ways.append(glued.split())
    ways.append(
        re.sub(r"(?i)\b(two|2|time of|scattering|diffraction|std|standard)\s+(?=\w)", r"\1_", glued).split()
    )
    found = []
    for labels in ways:
        labels = [label.strip(" \t\"'") for label in labels]
        while len(labels) > n_columns and not labels[-1]:
            labels.pop()
        if len(labels) == n_columns and labels not in found and not any(map(_is_no_label, labels)):
            found.append(labels)
    return found


def _is_no_label(text: str) -> bool:
    """Entries such as 'Wavelength: 0.4' lie in columns too."""
    return (
        len(text) > 60
        or text.endswith((":", "="))
        or re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text) is not None
    )


def _named(labels: list[str], at_the_table: bool) -> Header:
    """Roles of labels; UnknownAxisError if none of them is an axis and the first names something else."""
    axes: dict[int, Axis] = {}
    stranger, roles, unnamed = None, {}, []
    for column, label in enumerate(labels):
        plain = unicodedata.normalize("NFKC", label).lower().strip()
        role = next((role for role, known in _ROLES.items() if re.search(known, plain)), None)
        try:
            axis = axis_of(label) if role in (None, "aside") or column == 0 else None
        except UnknownAxisError as error:
            axis = None
            if column == 0:
                stranger = error
        if axis is not None:
            axes[column] = axis
        elif column == 0 and stranger is not None:
            continue
        elif role is not None:
            roles.setdefault(role, []).append(column)
        else:
            unnamed.append(column)
    if not axes:
        if stranger is not None and (roles.get("observed") or at_the_table):
            raise stranger
        return Header(labels if roles else [], None, 0, roles, unnamed)
    observed = roles.get("observed")
    if not observed and (len(axes) == len(labels) > 1 or 0 not in axes or labels[0].lower() == "x"):
        return Header()  # words of a title, or one label in two words
    order = ["two_theta", "theta", "q", "d", "s", "1/d", "1/d^2"]
    x = min(axes, key=lambda column: (order.index(axes[column].quantity), column))
    return Header(labels, axes[x], x, roles, [column for column in unnamed if column != x])
