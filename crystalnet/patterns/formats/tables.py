r"""Text with rows of numbers: the table, and every line that is none.

>>> Dialect(";", decimal_comma=True).fields("10,5;3")
['10.5', '3']
>>> table = table_of("2theta counts\n" + "\n".join(f"{10 + i} {i % 7}" for i in range(60)), "a.xy")
>>> table.header, table.rows.shape
(['2theta counts'], (60, 2))
>>> runs_of(np.concatenate([np.arange(20), np.arange(20)]))
[slice(0, np.int64(20), None), slice(np.int64(20), 40, None)]
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import refuse, refuse_cut

FEWEST = 50  # points, our choice: fewer are a list of peaks rather than a pattern
SHORTEST = 10  # points of a scan, our choice: fewer that go back are points out of order
MOST_OTHER = 10  # rows of other numbers above a table, our choice
_COMMENTS = ("#", "!", "'", "/*", "*", "//", '"#', ";", "%", "@", "_", "[")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([ed][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_NUMERIC_LINE = re.compile(r"[\d.,;+\-edna\s\"|]*\d[\d.,;+\-edna\s\"|]*", re.IGNORECASE)


@dataclass
class Table:
    """Rows of numbers, (N, n_columns).

    Attributes:
        header: the lines above it.
        breaks: of lines that part its rows, the row they stand before.
        separator: a comma or semicolon between the columns, None for blanks and tabs.
        said: what was left out.
    """

    rows: np.ndarray
    header: list[str]
    breaks: dict[int, str] = field(default_factory=dict)
    separator: str | None = None
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dialect:
    """How a file writes its rows."""

    separator: str | None
    decimal_comma: bool = False
    thousands: bool = False

    def fields(self, line: str) -> list[str]:
        if self.separator:
            quoted = '"' in line
            parts = (
                next(csv.reader([line], delimiter=self.separator)) if quoted else line.split(self.separator)
            )
            fields = [part.strip(" \t\"'") for part in parts]
            while fields and not fields[-1]:
                fields.pop()
        else:
            fields = [part.strip("\"'").rstrip(",") for part in line.split()]
        if self.decimal_comma:
            fields = [part.replace(",", ".") for part in fields]
        elif self.thousands:
            fields = [part.replace(",", "") for part in fields]
        return fields


def _dialect_of(lines: list[str], name: str) -> Dialect:
    """Of the lines that hold nothing but numbers and separators.

    Raises:
        CrystalNetError: commas part the columns and mark decimals at once.
    """
    sample = [line for line in lines if _NUMERIC_LINE.fullmatch(line)][:2000]
    sample = [line for line in sample if len(re.findall(r"\d+", line)) > 1]
    if not sample:
        return Dialect(None)
    most = len(sample) / 2
    inner = re.compile(r"\d,\d")
    if any(re.search(r'"\d+,\d+"', line) for line in sample):
        return Dialect(";" if sum(";" in line for line in sample) > most else ",", decimal_comma=True)
    if sum(";" in line for line in sample) > most:
        return Dialect(";", decimal_comma=any(inner.search(line) for line in sample))
    with_commas = sum("," in line for line in sample)
    if with_commas <= most:
        some = with_commas and any(inner.search(line) for line in sample)
        if some and not any("." in line for line in sample):
            return Dialect(None, decimal_comma=True)
        return Dialect(None, thousands=bool(some))
    words = [[word.rstrip(",") for word in line.split()] for line in sample]
    many = sum(len(row) > 1 for row in words) > most
    if many and any(inner.search(word) for row in words for word in row):
        if not any("." in line for line in sample):
            return Dialect(None, decimal_comma=True)
        if all(
            re.fullmatch(r"[+-]?\d{1,3}(,\d{3})*(\.\d*)?|[+-]?\d+\.?\d*", w) for row in words for w in row
        ):
            return Dialect(None, thousands=True)
    if not many and len(sample) >= FEWEST and not any("." in line for line in sample):
        parts = [line.strip().strip(",").split(",") for line in sample]
        first = {part[0] for part in parts}
        if (
            len({len(part) for part in parts}) == 1
            and len(parts[0]) in (3, 4)
            and (
                len(first) <= len(parts) / 2
                or sum(re.search("(^|,)0\\d", line) is not None for line in sample) > 1
            )
        ):
            refuse(
                name,
                "commas stand between its columns and for its decimal points",
                "Write decimal points",
                Code.FILE_UNREADABLE,
            )
    return Dialect(",")


def table_of(text: str, name: str) -> Table:
    """The table of a text.

    Raises:
        CrystalNetError: there is none, or a line within it is cut or garbled.
    """
    lines = [line.strip() for line in text.splitlines()]
    dialect = _dialect_of(lines, name)
    rows, numbers, comments, breaks, said, in_comment = [], [], [], {}, [], False
    trailer: list[str] = []
    for number, line in enumerate(lines, 1):
        in_comment = (in_comment or line.startswith("/*")) and "*/" not in line
        if not line or in_comment or (line.startswith(_COMMENTS) or line.startswith("*/")):
            if line and rows:
                breaks.setdefault(len(rows), line.strip("#!;*/% '\""))
            elif line:
                comments.append(line)
            continue
        fields = dialect.fields(line)
        if len(fields) > 1 and all(_NUMBER.fullmatch(part) for part in fields):
            if rows and len(fields) != len(rows[0]):
                if len(rows) > MOST_OTHER or breaks:
                    _cut(name, number, f"holds {len(fields)} numbers, not {len(rows[0])}")
                comments += [lines[i - 1] for i in numbers]
                said.append(f"{len(rows)} rows of other numbers above the table are left out")
                rows, numbers = [], []
            if trailer:
                breaks[len(rows)] = trailer[-1]
                trailer.clear()
            rows.append(fields)
            numbers.append(number)
        elif not rows:
            comments.append(line)
        elif _NUMBER.fullmatch(fields[0]) and len(fields) > 1:
            _cut(name, number, f"is not a row of numbers ({line[:40]!r})")
        elif len(fields) == 1 and _NUMBER.fullmatch(fields[0]):
            if len(rows) > MOST_OTHER:
                _cut(name, number, f"holds one number, not {len(rows[0])}")
            comments += [*(lines[i - 1] for i in numbers), line]
            rows, numbers = [], []
        elif (
            (re.match(r"[+-]?[\d.,]+\D", line) and not re.match(r"\d+\s*[a-z]", line, re.IGNORECASE))
            or "*" in line
            or not re.search(r"[^\W\d_]", line)
        ):
            _cut(name, number, f"is not a row of numbers ({line[:40]!r})")
        else:
            trailer.append(line)
    if not rows:
        refuse(name, "it holds no columns of numbers")
    if trailer:
        said.append(f"{len(trailer)} lines below the table are left out ({trailer[0][:30]!r})")
    return Table(_numbers(rows), comments, breaks, dialect.separator, said)


def _numbers(rows: list[list[str]]) -> np.ndarray:
    try:
        return np.array(rows, float)
    except ValueError:  # an exponent of Fortran
        return np.array(
            [[re.sub("[dD]", "e", part) if part[:1] not in "nN" else part for part in row] for row in rows],
            float,
        )


def _cut(name: str, number: int, what: str) -> None:
    refuse_cut(name, f"line {number} {what}")


def runs_of(x: np.ndarray) -> list[slice] | None:
    """Where x runs in one direction, scan after scan; None if its points have no order at all."""
    steps = np.diff(x)
    back = steps < 0 if (steps > 0).sum() >= (steps < 0).sum() else steps > 0
    ends = [0, *(np.flatnonzero(back) + 1), len(x)]
    runs = [slice(a, b) for a, b in pairwise(ends)]
    return runs if len(runs) == 1 or min(run.stop - run.start for run in runs) >= SHORTEST else None
