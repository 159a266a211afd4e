"""Rietveld refinement of an answer, by rietx: cell, shifts, widths, coordinates, displacements and how grains
lie, with their standard uncertainties, and the R factors that a laboratory reports.

Groups of parameters are freed one after the other (McCusker et al., J. Appl. Cryst. 32, 36, 1999). What comes
out is never worse than what went in, and is still the structure that went in: where free coordinates would
break it, they stay.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured
from crystalnet.patterns.peaks import PeakFit, fit_peaks
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.solving.rietveld.fits import Fit, Task, staged
from crystalnet.solving.rietveld.plan import SHIFT, is_flat
from crystalnet.solving.rietveld.result import AXES, Grains, Quantity, Refined


def refined(
    pattern: Measured,
    structure: Structure,
    wavelength: float | str | None = None,
    *,
    k_alpha_2: bool | None = None,
    free_atoms: bool = True,
    others: Sequence[Structure] = (),
) -> Refined:
    """A structure fitted to a measured pattern.

    Args:
        pattern: counts; deviations are used where it has them.
        structure: any cell; its symmetry is found within SYMPREC.
        wavelength: Å or a name, unless the pattern has it.
        k_alpha_2: whether the pattern holds the doublet of the wavelength's element; None lets it tell.
        free_atoms: free coordinates and displacements, and how grains lie, too.
        others: further phases, whose cells and amounts alone are freed.

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
        task = Task(data, limits, structure, tuple(others), Path(folder))
        try:
            start, best, remarks = staged(task, wavelength, k_alpha_2, free_atoms)
        except Exception as error:  # rietx raises whatever its solvers do
            raise CrystalNetError(
                f"{pattern.name}: the refinement failed ({str(error)[:200]}). Check wavelength and"
                " structure.",
                Code.NOT_REFINED,
            ) from None
    if not best.result.usable:
        raise CrystalNetError(
            f"{pattern.name}: the refinement does not converge. The structure, or its cell, is too far off.",
            Code.NOT_REFINED,
        )
    return _told(best, start.rwp, remarks, started)


def _told(fit: Fit, before: float, remarks: Sequence[str], started: float) -> Refined:
    """What a refinement gives, in our words."""
    refinement, result = fit.refinement, fit.result
    known = {one.path: Quantity(one.value, one.stderr) for one in result.parameters}
    phase, told = refinement.structure.phases[0], result.statistics
    agreement = result.phase_agreement[0].r_bragg if result.phase_agreement else None
    agreement = np.nan if agreement is None else agreement
    ticks, *others = [np.array(places) for places in result.ticks.values()] or [np.zeros(0)]
    texture = phase.preferred_orientation
    march = "phases.0.preferred_orientation.r"
    return Refined(
        structure=fit.structure,
        cell={axis: known.get(f"phases.0.cell.{axis}", _held(getattr(phase.cell, axis))) for axis in AXES},
        sites=_sites(phase, known),
        factors={"Rp": told.rp, "Rwp": told.rwp, "Rexp": told.rexp, "GoF": told.gof, "R_Bragg": agreement},
        before=before,
        shift=known.get(SHIFT[is_flat(refinement.instrument)], Quantity(0.0)),
        two_theta=np.array(result.two_theta),
        observed=np.array(result.y_obs),
        calculated=np.array(result.y_calc),
        background=np.array(result.y_background),
        ticks=ticks,
        files=fit.files,
        seconds=round(time.perf_counter() - started, 2),
        remarks=(*remarks, *(one.message for one in result.diagnostics if one.level == "warning")),
        other_ticks=np.concatenate(others) if others else np.zeros(0),
        grains=Grains(tuple(texture.axis), known[march]) if texture and march in known else None,
        shares=_shares(result),
    )


def _shares(result: Any) -> dict[str, Quantity]:
    """Parts of the mass, where there is more than one phase."""
    if result.qpa is None or len(result.qpa.phases) < 2:
        return {}
    return {one.name: Quantity(one.weight_fraction, one.weight_fraction_stderr) for one in result.qpa.phases}


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


def _held(parameter: Any) -> Quantity:
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
