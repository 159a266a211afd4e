"""What solving gives, in figures: calculated beside measured patterns, and what a probability promises.

>>> from pymatgen.core import Lattice, Structure
>>> from crystalnet.patterns.peaks import fit_peaks
>>> from crystalnet.patterns.simulation import simulated
>>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
>>> fit = fit_peaks(simulated(salt, "CuKa1", (20, 60)))
>>> [trace.name for trace in fit_curves(fit).data]
['measured', 'fitted', 'background', 'left over']
>>> answers = pd.DataFrame({"confidence": [0.1, 0.2, 0.8, 0.9], "top_1": [0, 0, 1, 1]})
>>> reliability_curve(answers, n_bins=2).data[1].y
(0.0, 1.0)
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from crystalnet.patterns.observed import STEP
from crystalnet.patterns.peaks import PeakFit
from crystalnet.show.style import BLUE, GREEN, INK, ORANGE, RED, styled
from crystalnet.solving.candidates import WIDE, Candidate
from crystalnet.solving.frames import Frames


def fit_curves(fit: PeakFit, title: str = "") -> go.Figure:
    """A measured pattern, its background, the fitted peaks and what they leave."""
    x = fit.pattern.two_theta.astype(np.float32)
    rest = fit.pattern.counts - fit.fitted
    figure = go.Figure()
    measured = {"mode": "markers", "marker": {"size": 2.5, "color": INK}}
    figure.add_scatter(x=x, y=fit.pattern.counts.astype(np.float32), name="measured", **measured)
    figure.add_scatter(
        x=x, y=fit.fitted.astype(np.float32), name="fitted", line={"color": BLUE, "width": 1.2}
    )
    figure.add_scatter(
        x=x, y=fit.background.astype(np.float32), name="background", line={"color": GREEN, "width": 1.2}
    )
    low = float(min(fit.pattern.counts.min(), 0) - rest.max())
    figure.add_scatter(
        x=x, y=(rest + low).astype(np.float32), name="left over", line={"color": RED, "width": 1}
    )
    figure.update_xaxes(title_text="2θ (degrees)").update_yaxes(title_text="counts")
    return styled(figure, 320, title, legend=True, showlegend=True)


def amplitude_curves(
    candidate: Candidate, frames: Frames, title: str = "", highest: float = WIDE
) -> go.Figure:
    """The measured square-root profile, that of a candidate, and their difference below.

    >>> from crystalnet.patterns.observed import Observed
    >>> from crystalnet.physics.atoms import Atoms
    >>> from crystalnet.solving.refinement import Trial
    >>> from crystalnet.solving.templates import Template
    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0] * 3, [0.5] * 3]), np.array(["Na", "Cl"]))
    >>> template, frames = Template.of(salt), Frames(Observed.of_structure(salt))
    >>> trial = Trial(template, template.lattice, ("Na", "Cl"), template.frac_coords)
    >>> drawn = amplitude_curves(Candidate.of(trial, "analogue of MgO", frames), frames)
    >>> bool(np.ptp(drawn.data[2].y) < 0.05 * np.ptp(drawn.data[0].y))  # it is the crystal itself
    True
    """
    trial = candidate.trial
    frame = frames(trial.template, trial.lattice, WIDE)
    waves = frame.waves(trial.frac_coords)
    calculated = np.sqrt(frame.smearing @ frame.intensity(trial.symbols, waves, trial.b_factor))
    calculated *= np.linalg.norm(frame.measured) / np.linalg.norm(calculated)
    s = (np.arange(frame.n) * STEP).astype(np.float32)
    figure = go.Figure()
    for name, y, colour in (
        ("measured", frame.measured, INK),
        ("calculated", calculated, BLUE),
        ("difference", frame.measured - calculated - 0.3 * frame.measured.max(), RED),
    ):
        figure.add_scatter(x=s, y=y.astype(np.float32), name=name, line={"color": colour, "width": 1.2})
    figure.update_xaxes(title_text="sin θ / λ (1/Å)").update_yaxes(
        title_text="√intensity", showticklabels=False
    )
    return styled(figure, 300, title, legend=True, showlegend=True)


def reliability_curve(rows: pd.DataFrame, title: str = "", n_bins: int = 6) -> go.Figure:
    """Confidence against the share that was right, in bins of equally many answers; the dotted line keeps
    every promise."""
    parts = np.array_split(np.argsort(rows["confidence"].to_numpy(), kind="stable"), min(n_bins, len(rows)))
    x = [float(rows["confidence"].iloc[part].mean()) for part in parts]
    y = [float(rows["top_1"].iloc[part].mean()) for part in parts]
    figure = go.Figure(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "dash": "dot"}, showlegend=False)
    )
    figure.add_scatter(x=x, y=y, mode="lines+markers", line_color=ORANGE, name="answers")
    figure.update_xaxes(title_text="confidence", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.02])
    return styled(figure, 320, title, showlegend=False)
