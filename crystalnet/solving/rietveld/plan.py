"""What a Rietveld refinement frees, in which order, on which diffractometer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crystalnet.patterns.peak_search import doublet_of
from crystalnet.solving.rietveld.texture import Lying

RADIATIONS = ("CuKa", "CoKa", "CrKa", "FeKa", "MoKa", "AgKa")  # that rietx knows the lines of
SAME = 5e-4  # Å, our choice: tables of K-alpha-1 differ by less
STRONG = 12  # peaks that tell the first width, as rietx's manual has it
# stages of rietx's plan, and our own last
CELL = "scale_bkg", "zero", "cell", "profile_w", "profile", "axial"
ATOMS = "coordinates", "biso"
SHIFT = {True: "instrument.geometry.sample_displacement", False: "instrument.zero_shift"}  # in a laboratory?
GRAINS = "phases.0.preferred_orientation.r"
AXIAL = ["instrument.geometry.axial_sl", "instrument.geometry.axial_hl"]


def is_flat(instrument: Any) -> bool:
    """Whether the sample is a flat one, whose height matters."""
    return instrument.geometry.kind == "bragg_brentano"


def plan_of(flat: bool, stages: Sequence[str]) -> Any:
    """McCusker's order. Of a flat sample the height is freed, of others the zero: both are hardly told apart;
    and the axial divergence, which shifts what LaB6 says of its cell by 170 ppm if it is left out."""
    import rietx as rx

    whole = rx.RefinementPlan.mccusker_structural()
    kept = []
    for stage in whole.stages:
        if stage.name in stages:
            kept.append(replace(stage, turn_on=[SHIFT[flat]]) if stage.name == "zero" else stage)
        if stage.name == "profile" and flat and "axial" in stages:
            kept.append(replace(stage, name="axial", turn_on=AXIAL))
    kept = [replace(stage, turn_on=[_first_alone(path) for path in stage.turn_on]) for stage in kept]
    return replace(whole, stages=kept)


def _first_alone(path: str) -> str:
    """Atoms are freed in the first phase; of others, cell and amount."""
    return path.replace("phases.*.atoms", "phases.0.atoms")


def lying_plan(refinement: Any, guess: Lying, stages: Sequence[str]) -> tuple[Any, Any, Any]:
    """Phases, instrument and plan to go on with from where a refinement stands, grains lying on a face: their
    r alone with the amounts, then all that was free before."""
    import rietx as rx

    phases, instrument = (one.model_copy(deep=True) for one in (refinement.structure, refinement.instrument))
    grains = rx.PreferredOrientation(axis=guess.face)
    grains.r.value = guess.march
    phases.phases[0].preferred_orientation = grains
    plan = plan_of(is_flat(instrument), stages)
    free = [path for stage in plan.stages for path in stage.turn_on]
    first = replace(plan.stages[0], name="grains", turn_on=[*plan.stages[0].turn_on, GRAINS])
    return phases, instrument, replace(plan, stages=[first, replace(first, name="all", turn_on=free)])


def instrument_of(data: Any, wavelength: float, k_alpha_2: bool, limits: tuple[float, float]) -> Any:
    """A diffractometer of the radiation, with background and width as the pattern shows them."""
    import rietx as rx

    instrument = _bare(wavelength, k_alpha_2)
    chosen = rx.auto_background(data, kind="chebyshev", two_theta_limits=limits)
    instrument.background = chosen.background
    peaks = sorted(rx.pick_peaks(data, instrument).peaks, key=lambda peak: -peak.intensity)[:STRONG]
    if peaks:
        half = 0.6 * float(np.median([peak.fwhm for peak in peaks]))
        instrument.profile.w.value, instrument.profile.x.value = half**2, half
    return instrument


def _bare(wavelength: float, k_alpha_2: bool):
    """A laboratory's diffractometer where the radiation is a tube's, else a synchrotron's."""
    import rietx as rx

    if doublet := doublet_of(wavelength):
        first = wavelength * doublet[0]
        for name in RADIATIONS:
            instrument = rx.Instrument.bragg_brentano(radiation=name if k_alpha_2 else f"{name}1")
            if abs(instrument.source.lines[0].wavelength.value - first) < SAME:
                return instrument
    return rx.Instrument.debye_scherrer(wavelength)
