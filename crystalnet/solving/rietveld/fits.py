"""The fits of one refinement, one after the other, by rietx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from crystalnet.data.crystals import SYMPREC
from crystalnet.solving.rietveld.plan import ATOMS, CELL, instrument_of, is_flat, lying_plan, plan_of
from crystalnet.solving.rietveld.texture import Lying, lying, shared_out

WORTH = 0.1  # part of what remains of the intensities, our choice: less is no reason to think of texture
TRIED = 2  # faces, our choice: what remains tells them apart roughly
BETTER = 0.99  # of Rwp, our choice: that one parameter more has to bring


@dataclass(frozen=True)
class Task:
    """What every fit of one refinement shares.

    Attributes:
        data: of rietx.
        limits: first and last two_theta, degrees.
        structure: the phase that is refined whole.
        others: phases whose cells and amounts alone are.
        folder: for files on the way.
    """

    data: Any
    limits: tuple[float, float]
    structure: Structure
    others: tuple[Structure, ...]
    folder: Path

    def phases(self) -> Any:
        """All of them, as they went in."""
        import rietx as rx

        read = []
        for k, structure in enumerate((self.structure, *self.others)):
            path = self.folder / f"start-{k}.cif"
            path.write_text(str(CifWriter(structure, symprec=SYMPREC)), encoding="utf-8")
            read += rx.Structure.from_cif(path).phases
        return rx.Structure(phases=read)

    def fitted(self, phases: Any, instrument: Any, plan: Any) -> Fit:
        """The fit; rietx would leave notes on it in the working directory."""
        import rietx as rx

        refinement = rx.Refinement(phases, instrument)
        result = refinement.fit(self.data, plan=plan, two_theta_limits=self.limits, telemetry=False)
        return Fit(refinement, result, _texts(refinement, result, self.folder))

    def holds(self, fit: Fit) -> bool:
        """Whether a fit ended, with the structure that went in."""
        return fit.result.usable and StructureMatcher().fit(self.structure, fit.structure)


@dataclass(frozen=True)
class Fit:
    """A refinement of rietx, its result, and files of both."""

    refinement: Any
    result: Any
    files: dict[str, str]

    @property
    def conventional(self) -> Structure:
        return Structure.from_str(self.files[".cif"], fmt="cif")

    @property
    def structure(self) -> Structure:
        return self.conventional.get_primitive_structure()

    @property
    def rwp(self) -> float:
        return float(self.result.statistics.rwp)


def staged(task: Task, wavelength: float, k_alpha_2: bool, free_atoms: bool) -> tuple[Fit, Fit, list[str]]:
    """The fit of scale and background, the best one, and what was given up on the way."""

    def fit(stages: Sequence[str]) -> Fit:
        instrument = instrument_of(task.data, wavelength, k_alpha_2, task.limits)
        return task.fitted(task.phases(), instrument, plan_of(is_flat(instrument), stages))

    remarks: list[str] = []
    start = best = fit(("scale_bkg",))
    for stages in ((*CELL, *ATOMS), CELL) if free_atoms else (CELL,):
        one = fit(stages)
        if task.holds(one):
            best = one if one.rwp < start.rwp else start
            break
        what = "Free coordinates" if ATOMS[0] in stages else "A free cell"
        remarks.append(f"{what} broke the structure: they stay as they were.")
    if best is start:
        remarks.append("Nothing beyond scale and background made the fit better: this is the start.")
    elif free_atoms:
        likely = [guess for guess in _lying(best) if guess.gain > WORTH][:TRIED]
        fits = [task.fitted(*lying_plan(best.refinement, guess, stages)) for guess in likely]
        nearest = min(filter(task.holds, fits), key=lambda one: one.rwp, default=best)
        best = nearest if nearest.rwp < BETTER * best.rwp else best
    return start, best, remarks


def _lying(fit: Fit) -> list[Lying]:
    """How grains seem to lie, from what the fit leaves of each reflection of its first phase."""
    rows = [row for row in fit.refinement.reflection_table() if row.line == 0 and row.phase_index == 0]
    told = fit.result
    x, seen, drawn, below = (
        np.array(part) for part in (told.two_theta, told.y_obs, told.y_calc, told.y_background)
    )
    calculated = np.array([row.intensity for row in rows])
    times = shared_out(x, seen - below, drawn - below, [row.two_theta for row in rows])
    hkl = np.array([(row.h, row.k, row.l) for row in rows])
    return lying(fit.conventional, hkl, calculated, times * calculated)


def _texts(refinement, result, folder: Path) -> dict[str, str]:
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
