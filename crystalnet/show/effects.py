"""What one change does to the scores: differences on the same crystals, with their standard errors.

>>> scores = {f"{protocol}_{score}": [0.5, 0.6] for protocol in PROTOCOLS for score in SCORES}
>>> baseline = pd.DataFrame({"row": [0, 1], **scores})
>>> better = baseline.assign(variant="wider", honest_ssim=[0.6, 0.71])
>>> found = effects(better, baseline)
>>> clear(found).tolist()
[False, False, True, False]
>>> table = effect_table(found.assign(run="cubic"))
>>> table["SSIM, honest"].item()
'+0.105 ± 0.005'
>>> len(effect_dots(found.assign(run="cubic")).data)
4
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crystalnet.show.style import BLUE, INK, ORANGE, styled
from crystalnet.show.tables import PROTOCOLS, paired

SCORES = {"ssim": ("SSIM", 3), "psnr": ("PSNR (dB)", 2)}  # name and digits
MARKS = dict(zip(PROTOCOLS, ((ORANGE, "circle", -0.12), (BLUE, "diamond", 0.12)), strict=True))
REFERENCE = "as in the paper"
CLEAR = 2  # standard errors, our choice: chance alone reaches them once in twenty times


def effects(variants: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Mean of s_variant - s_baseline over the test crystals that all have, for every score s (see `paired`).

    Args:
        variants: scores as `Run.variant` gives them, with a column `variant`.
        baseline: the same of the network without any change.

    Returns:
        A row a variant, protocol and score: variant, protocol, score, crystals, mean, error.
    """
    table = paired(pd.concat([baseline.assign(variant=REFERENCE), variants]), "variant", REFERENCE)
    rows = [
        (
            variant,
            protocol,
            score,
            int(row["crystals"]),
            row[f"{protocol}_{score}"],
            row[f"{protocol}_{score}_error"],
        )
        for variant, row in table.iterrows()
        for protocol in PROTOCOLS
        for score in SCORES
    ]
    return pd.DataFrame(rows, columns=["variant", "protocol", "score", "crystals", "mean", "error"])


def clear(found: pd.DataFrame) -> pd.Series:
    """Which effects lie further from nought than chance explains, but for one in twenty."""
    return found["mean"].abs() > CLEAR * found["error"]


def effect_table(found: pd.DataFrame) -> pd.DataFrame:
    """Effects as text, mean ± standard error; the index is (run, variant).

    Args:
        found: rows of `effects`, with a column `run` before them.
    """
    rows = {}
    for case, part in found.groupby(["run", "variant"], sort=False):
        rows[case] = {}
        for effect in part.itertuples():
            name, digits = SCORES[effect.score]
            text = f"{effect.mean:+.{digits}f} ± {effect.error:.{digits}f}"
            rows[case][f"{name}, {PROTOCOLS[effect.protocol]}"] = text
    return pd.DataFrame(rows.values(), pd.MultiIndex.from_tuples(rows, names=["run", "variant"]))


def effect_dots(found: pd.DataFrame) -> go.Figure:
    """A dot for every effect, with whiskers of two standard errors; a row of panels a run.

    Args:
        found: as for `effect_table`.
    """
    runs = dict(tuple(found.groupby("run", sort=False)))
    titles = [f"{run}: Δ {name}" for run in runs for name, _ in SCORES.values()]
    figure = make_subplots(
        len(runs), len(SCORES), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.05
    )
    for row, part in enumerate(runs.values(), 1):
        variants = list(dict.fromkeys(part["variant"]))
        for (protocol, score), dots in part.groupby(["protocol", "score"], sort=False):
            colour, symbol, shift = MARKS[protocol]
            column = list(SCORES).index(score) + 1
            figure.add_trace(
                go.Scatter(
                    x=dots["mean"].to_numpy(),
                    y=[variants.index(variant) + shift for variant in dots["variant"]],
                    error_x={"array": CLEAR * dots["error"].to_numpy(), "thickness": 1.5},
                    mode="markers",
                    marker={"color": colour, "symbol": symbol, "size": 9},
                    name=PROTOCOLS[protocol],
                    legendgroup=protocol,
                    showlegend=(row, column) == (1, 1),
                    customdata=dots["variant"],
                    hovertemplate="%{customdata}: %{x:+.4f} ± %{error_x.array:.4f}<extra></extra>",
                ),
                row,
                column,
            )
        ticks = {
            "tickvals": list(range(len(variants))),
            "ticktext": [v.replace(" ", "<br>") for v in variants],
        }
        figure.update_yaxes(**ticks, range=[len(variants) - 0.5, -0.5], row=row)
    figure.add_vline(0, line={"color": INK, "width": 1})
    figure.update_yaxes(showgrid=False, zeroline=False, ticks="").update_xaxes(nticks=5).update_annotations(
        font_size=12
    )
    return styled(figure, 90 + 200 * len(runs), legend=True, margin_t=64, legend_y=1 + 0.12 / len(runs))
