"""Rietveld refinement of an answer, by rietx: cell, shifts, widths, coordinates and displacements with their
standard uncertainties, and the R factors that a laboratory reports.

Groups of parameters are freed one after the other (McCusker et al., J. Appl. Cryst. 32, 36, 1999). What comes
out is never worse than what went in, and is still the structure that went in: where free coordinates would
break it, they stay.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from crystalnet.data.crystals import SYMPREC
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured
from crystalnet.patterns.peaks import PeakFit, fit_peaks
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.solving.rietveld_plan import ATOMS, CELL, SHIFT, instrument_of, is_flat, plan_of

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


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement gives.

    Attributes:
        structure: the refined one, primitive cell.
        cell: a, b, c in Å, alpha, beta, gamma in degrees, of the conventional cell.
        sites: a row a site: label, element, x, y, z, B (Å^2), as `Quantity` writes them.
        factors: Rp, Rwp, Rexp, R_Bragg (parts of 1) and GoF.
        before: Rwp with scale and background alone.
        shift: of the sample's height in mm, or of all angles in degrees where there is no flat sample.
        two_theta, observed, calculated, background: (N,) degrees and counts.
        ticks: (P,) degrees, where reflections are.
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
    remarks: tuple[str, ...] = field(default=())


class _Fit(NamedTuple):
    """A refinement of rietx, its result, and files of both."""

    refinement: Any
    result: Any
    files: dict[str, str]

    @property
    def structure(self) -> Structure:
        return Structure.from_str(self.files[".cif"], fmt="cif").get_primitive_structure()

    @property
    def rwp(self) -> float:
        return float(self.result.statistics.rwp)


def refined(
    pattern: Measured,
    structure: Structure,
    wavelength: float | str | None = None,
    *,
    k_alpha_2: bool | None = None,
    free_atoms: bool = True,
) -> Refined:
    """A structure fitted to a measured pattern.

    Args:
        pattern: counts; deviations are used where it has them.
        structure: any cell; its symmetry is found within SYMPREC.
        wavelength: Å or a name, unless the pattern has it.
        k_alpha_2: whether the pattern holds the doublet of the wavelength's element; None lets it tell.
        free_atoms: free coordinates and displacements, too.

    Raises:
        CrystalNetError: no wavelength, or a refinement that does not converge from there.
    """
    import rietx as rx  # a second to import

    started = time.perf_counter()
    wavelength = wavelength_of(wavelength) or wavelength_of(pattern.wavelength)
    if wavelength is None:
        raise CrystalNetError(
            f"{pattern.name}: the wavelength is not known. Give it, in Å or as 'CuKa'.", Code.NO_WAVELENGTH
        )
    if k_alpha_2 is None:
        k_alpha_2 = fit_peaks(pattern, wavelength).doublet is not None
    sigma = None if pattern.sigma is None else pattern.sigma.tolist()
    data = rx.PatternData(
        two_theta=pattern.two_theta.tolist(), intensity=pattern.counts.tolist(), sigma=sigma
    )
    limits = float(pattern.two_theta[0]), float(pattern.two_theta[-1])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rietx's: they are in its diagnostics
        path = Path(folder) / "start.cif"
        path.write_text(str(CifWriter(structure, symprec=SYMPREC)), encoding="utf-8")

        def fit(stages: Sequence[str]) -> _Fit:
            instrument = instrument_of(data, wavelength, k_alpha_2, limits)
            refinement = rx.Refinement(rx.Structure.from_cif(path), instrument)
            plan = plan_of(is_flat(instrument), stages)
            result = refinement.fit(data, plan=plan, two_theta_limits=limits)
            return _Fit(refinement, result, _files_of(refinement, result, Path(folder)))

        remarks: list[str] = []
        try:
            start = best = fit(("scale_bkg",))
            for stages in ((*CELL, *ATOMS), CELL) if free_atoms else (CELL,):
                one = fit(stages)
                if one.result.usable and StructureMatcher().fit(structure, one.structure):
                    best = one if one.rwp < start.rwp else start
                    break
                what = "Free coordinates" if ATOMS[0] in stages else "A free cell"
                remarks.append(f"{what} broke the structure: they stay as they were.")
        except Exception as error:  # rietx raises whatever its solvers do
            raise CrystalNetError(
                f"{pattern.name}: the refinement failed ({str(error)[:200]}). Check wavelength and"
                " structure.",
                Code.NOT_REFINED,
            ) from None
    refinement, result, files = best
    if not result.usable:
        raise CrystalNetError(
            f"{pattern.name}: the refinement does not converge. The structure, or its cell, is too far off.",
            Code.NOT_REFINED,
        )
    if best is start:
        remarks.append("Nothing beyond scale and background made the fit better: this is the start.")
    known = {one.path: Quantity(one.value, one.stderr) for one in result.parameters}
    phase, told = refinement.structure.phases[0], result.statistics
    remarks += [one.message for one in result.diagnostics if one.level == "warning"]
    agreement = result.phase_agreement[0].r_bragg if result.phase_agreement else None
    agreement = np.nan if agreement is None else agreement
    return Refined(
        best.structure,
        {axis: known.get(f"phases.0.cell.{axis}", _held(getattr(phase.cell, axis))) for axis in AXES},
        _sites(phase, known),
        {"Rp": told.rp, "Rwp": told.rwp, "Rexp": told.rexp, "GoF": told.gof, "R_Bragg": agreement},
        start.rwp,
        known.get(SHIFT[is_flat(refinement.instrument)], Quantity(0.0)),
        *(np.array(part) for part in (result.two_theta, result.y_obs, result.y_calc, result.y_background)),
        np.array(next(iter(result.ticks.values()), [])),
        files,
        round(time.perf_counter() - started, 2),
        tuple(remarks),
    )


def refined_or_why(fit: PeakFit | None, structure: Structure) -> tuple[Refined | None, tuple[str, ...]]:
    """An answer refined against the pattern that it explains; None, and why, where that cannot be.

    Args:
        fit: the pattern taken apart; None where it came as a list of peaks.

    >>> refined_or_why(None, Structure(np.eye(3), ["Po"], [[0, 0, 0]]))[1]
    ('Not refined: only peaks were given.',)
    """
    if fit is None:
        return None, ("Not refined: only peaks were given.",)
    try:
        return refined(fit.pattern, structure, fit.wavelength, k_alpha_2=fit.doublet is not None), ()
    except CrystalNetError as error:
        return None, (f"Not refined ({error.code.name}): {error}",)


def _files_of(refinement, result, folder: Path) -> dict[str, str]:
    """What other programs read, as text; without what one of them cannot hold."""
    import rietx as rx

    structure, instrument = refinement.structure, refinement.instrument
    writers = {
        ".cif": lambda path: rx.write_refinement_cif(result, structure, instrument, path),
        ".gsas2.cif": lambda path: rx.write_gsas2_phase_cif(structure, path),
        ".instprm": lambda path: rx.write_gsas2_instprm(instrument, path),
        ".pcr": lambda path: rx.write_fullprof_pcr(structure, path),
        ".inp": lambda path: rx.write_topas_inp(structure, path, instrument=instrument),
    }
    texts = {}
    for end, write in writers.items():
        path = folder / f"refined{end}"
        try:
            write(path)
        except (ValueError, NotImplementedError):
            if end == ".cif":
                raise
            continue
        texts[end] = path.read_text(encoding="utf-8", errors="replace")
    return texts


def _held(parameter) -> Quantity:
    return Quantity(parameter.value)


def _sites(phase, known: Mapping[str, Quantity]) -> pd.DataFrame:
    rows = []
    for k, atom in enumerate(phase.atoms):
        row = {"label": atom.label, "element": atom.species}
        for name in ("x", "y", "z"):
            row[name] = str(known.get(f"phases.0.atoms.{k}.{name}", _held(getattr(atom, name))))
        row["B (Å²)"] = str(known.get(f"phases.0.atoms.{k}.biso", _held(atom.biso)))
        rows.append(row)
    return pd.DataFrame(rows)
