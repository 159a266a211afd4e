"""What solving gives: calculated beside measured patterns, tables of challenges, and who solves what.

Rows are DataFrames as `solvings.Solvings.challenge` gives them, with columns system, challenge and split.
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
from crystalnet.solving.ranking import CONFIDENT, FACTS, features, fitted, probability

ENOUGH_RIGHT = 5  # right and wrong answers that a calibration needs of each, our choice


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
    """The measured square-root profile, that of a candidate, and their difference below."""
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


def features_of(rows: pd.DataFrame) -> np.ndarray:
    """`ranking.features` of rows that have an answer, (N, 8)."""
    return features(**{name: rows[name] for name in FACTS})


def with_confidence(rows: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """The rows with a column 'confidence', 0 where there was no answer."""
    answered = (rows["outcome"] == "answer").to_numpy()
    confidence = np.zeros(len(rows))
    confidence[answered] = probability(features_of(rows[answered]), weights)
    return rows.assign(confidence=confidence)


def calibrated(validation: pd.DataFrame) -> np.ndarray:
    """Weights of the confidence, from rows of validation crystals; too few of them are an error."""
    rows = validation[validation["outcome"] == "answer"]
    right = rows["top_1"].to_numpy(float)
    if min(right.sum(), (1 - right).sum()) < ENOUGH_RIGHT:
        raise ValueError("Too few right or wrong answers to calibrate with.")
    return fitted(features_of(rows), right)


def challenge_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a challenge: shares of crystals solved, confident ones and how many of these are right.

    'rms' is the median of `StructureMatcher`'s displacement, in units of (volume / atoms)^1/3.
    """

    def summary(part: pd.DataFrame) -> pd.Series:
        sure = part["confidence"] >= CONFIDENT
        return pd.Series(
            {
                "crystals": len(part),
                "top 1": part["top_1"].mean(),
                "top 5": part["top_5"].mean(),
                "top 20": part["top_20"].mean(),
                "tight, top 1": part["tight_1"].mean(),
                "rms": part["rms_1"].median(),
                "confident": sure.mean(),
                "of these right": part.loc[sure, "top_1"].mean() if sure.any() else np.nan,
                "AUC": auc(part["confidence"], part["top_1"]),
                "seconds": part["seconds"].median(),
            }
        )

    table = rows.groupby("challenge", sort=False)[rows.columns.tolist()].apply(summary)
    return table.astype({"crystals": int})


def auc(confidence, right) -> float:
    """The probability that a right answer is more confident than a wrong one; NaN if one kind is missing."""
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    if right.all() or not right.any():
        return float("nan")
    yes, no = confidence[right][:, None], confidence[~right]
    return float((yes > no).mean() + 0.5 * (yes == no).mean())


def who_solves(rows: pd.DataFrame) -> pd.DataFrame:
    """Of crystals that several challenges share: how many each source solves, and how many it alone does."""
    solved = (
        rows.pivot_table(index="material_id", columns="challenge", values="top_1", sort=False).dropna() > 0
    )
    alone = solved.sum(axis=1) == 1
    return pd.DataFrame({"crystals": len(solved), "solved": solved.sum(), "by it alone": solved[alone].sum()})


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
