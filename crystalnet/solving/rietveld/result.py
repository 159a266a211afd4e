"""What a refinement gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from pymatgen.core import Structure

UNITS = {"a": "Å", "b": "Å", "c": "Å", "alpha": "°", "beta": "°", "gamma": "°"}
AXES = tuple(UNITS)


@dataclass(frozen=True)
class Quantity:
    """A number and its standard uncertainty, None where symmetry or the plan holds it.

    >>> str(Quantity(4.156826, 0.000008)), str(Quantity(90.0)), str(Quantity(0.7311, 0.0123))
    ('4.156826(8)', '90', '0.731(12)')
    """

    value: float
    esd: float | None = None

    def __str__(self) -> str:
        if not self.esd or not np.isfinite(self.esd):
            return f"{self.value:.6g}"
        digits = max(int(np.ceil(-np.log10(self.esd / 1.95))), 0)  # one digit from 2 on, else two
        return f"{self.value:.{digits}f}({round(self.esd * 10**digits)})"


class Grains(NamedTuple):
    """How grains lie: on which face, and r of March and Dollase (see `physics.texture`)."""

    face: tuple[int, int, int]
    march: Quantity


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement gives.

    Attributes:
        structure: primitive cell.
        cell: a, b, c in Å, alpha, beta, gamma in degrees, of the conventional cell.
        sites: a row a site: label, element, x, y, z, B (Å^2), as `Quantity` writes them.
        factors: Rp, Rwp, Rexp, R_Bragg (parts of 1) and GoF.
        before: Rwp with scale and background alone.
        shift: of the sample's height in mm, or of all angles in degrees where there is no flat sample.
        two_theta, observed, calculated, background: (N,) degrees and counts.
        ticks: (P,) degrees, where reflections are; `other_ticks` those of other phases.
        grains: how they lie; None where as they fall.
        shares: part of the mass by formula, of all phases; empty where there is one.
        remarks: what to know before it is believed, a sentence each.
        files: texts for other programs by the ends of their names: .cif with what was refined; .gsas2.cif
            and .instprm of GSAS-II, .pcr of FullProf, .inp of TOPAS.
        seconds: that it took.
    """

    structure: Structure
    cell: Mapping[str, Quantity]
    sites: pd.DataFrame
    factors: Mapping[str, float]
    before: float
    shift: Quantity
    two_theta: np.ndarray
    observed: np.ndarray
    calculated: np.ndarray
    background: np.ndarray
    ticks: np.ndarray
    files: Mapping[str, str]
    seconds: float
    remarks: tuple[str, ...] = ()
    other_ticks: np.ndarray = field(default_factory=lambda: np.zeros(0))
    grains: Grains | None = None
    shares: Mapping[str, Quantity] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """R factors, shift, grains and shares, as pages have them.

        >>> names = ("two_theta", "observed", "calculated", "background", "ticks")
        >>> curves = dict.fromkeys(names, np.zeros(1))
        >>> iron = Structure(1.433 * (1 - 2 * np.eye(3)), ["Fe"], [[0, 0, 0]])
        >>> grains = Grains((1, 1, 0), Quantity(0.8, 0.01))
        >>> told = Refined(iron, {}, pd.DataFrame(), {"Rwp": 0.08}, 0.3, Quantity(0.0), **curves, files={},
        ...     seconds=1.0, grains=grains).facts
        >>> told["Rwp"], told["texture (March-Dollase)"]
        ('0.0800', 'grains on (1 1 0), r = 0.800(10)')
        """
        facts = {name: f"{value:.4f}" for name, value in self.factors.items()}
        facts["Rwp with scale and background alone"] = f"{self.before:.4f}"
        facts["shift of the sample (mm) or of the zero (°)"] = str(self.shift)
        if self.grains:
            face = " ".join(map(str, self.grains.face))
            facts["texture (March-Dollase)"] = f"grains on ({face}), r = {self.grains.march}"
        return facts | {f"part of the mass, {name}": str(share) for name, share in self.shares.items()}
