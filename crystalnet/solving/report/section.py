"""A part of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Section:
    """Facts by name, a table, and sentences; any of them may be missing.

    >>> Section("Given", {"composition": "NaCl"}).facts["composition"]
    'NaCl'
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    table: pd.DataFrame | None = None
    remarks: Sequence[str] = ()
