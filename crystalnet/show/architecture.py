"""The network's own drawing: every layer from a forward pass, every count from the live parameters.

>>> small = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
>>> n_parameters(small)  # (4 + 1) 8 + (8 + 1) 1
49
>>> layers(small, (torch.zeros(2, 4),))["kind"].tolist()
['Linear', 'ReLU', 'Linear']
>>> from crystalnet.model.crystalnet import CrystalNet
>>> network = CrystalNet(width=8, n_frequencies=2, hidden=8)
>>> inputs = torch.rand(2, 1024), torch.rand(2, 118), torch.rand(2, 3, 3), torch.zeros(2, network.n_latent)
>>> sum("fusion" in note.text for note in architecture(network, inputs).layout.annotations)
1
>>> len(system_overview(network).layout.shapes)  # a box each
12
"""

from __future__ import annotations

from itertools import groupby

import pandas as pd
import plotly.graph_objects as go
import torch
from torch import nn

from crystalnet.model.encoders import N_ELEMENTS
from crystalnet.show.style import INK, still, styled

PANELS = {  # the paper's Fig. 6; its panel E, the FiLM product, has no layers of its own
    "A · pattern encoder": ("xrd_encoder.mu", "xrd_encoder.sigma"),
    "B · composition encoder": ("formula_encoder.mu", "formula_encoder.sigma"),
    "C · fusion": ("gamma", "beta"),
    "D · position encoder": ("position_encoder",),
    "F · regressor": ("regressor",),
}
FOLLOWERS = ("BatchNorm", "LayerNorm", "ReLU", "Softplus")  # share the box of the layer before them
FILLS = {"Conv1d": "rgba(0,158,115,0.25)", "Linear": "rgba(0,114,178,0.25)"}
OTHER_FILL = "rgba(128,128,128,0.2)"
BOX_HEIGHT = 22  # pixels


def layers(model: nn.Module, inputs: tuple) -> pd.DataFrame:
    """The layers of a model in the order in which a forward pass on `inputs` calls them.

    Returns:
        One row a layer: `name` (its path in the model), `kind` (its class), `output_shape` (without the
        batch), `n_parameters` (its own). A module counts as a layer if it has no children.
    """
    rows: dict[str, dict] = {}

    def note(name: str):
        def hook(module: nn.Module, _, output: torch.Tensor) -> None:
            rows.setdefault(
                name,
                {
                    "name": name,
                    "kind": type(module).__name__,
                    "output_shape": tuple(output.shape[1:]),
                    "n_parameters": n_parameters(module),
                },
            )

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    hooks = [module.register_forward_hook(note(name)) for name, module in leaves]
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(*inputs)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows.values(), columns=["name", "kind", "output_shape", "n_parameters"])


def n_parameters(module: nn.Module | None) -> int:
    """Trainable parameters of a module; 0 of none."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad) if module is not None else 0


def architecture(model: nn.Module, inputs: tuple) -> go.Figure:
    """Every sub-network of a CrystalNet, layer by layer: kind, output shape, parameters (paper, Fig. 6).

    Args:
        inputs: what model's forward takes: pattern (B, 1024), composition (B, 118), query_coords (B, N, 3),
            noise (B, n_latent).
    """
    table = layers(model, inputs)
    figure = go.Figure()
    depth = 0.0  # how far down the figure is filled, in boxes
    for title, prefixes in PANELS.items():
        rows = table[table["name"].str.startswith(f"{prefixes[0]}.")]
        if not len(rows):  # a network without composition
            continue
        total = _times(len(prefixes), int(rows["n_parameters"].sum()))
        heading = f"<b>{title}</b>"
        if len(prefixes) > 1:
            heading += f" ({', '.join(prefix.split('.')[-1] for prefix in prefixes)})"
        for text, x, anchor in ((heading, 0, "left"), (f"<b>{total}</b>", 1, "right")):
            figure.add_annotation(text=text, x=x, y=depth + 0.5, xanchor=anchor, font_size=11)
        for y, (text, fill, count) in enumerate(_boxes(rows), 1):
            y += depth
            label = {"text": text, "textposition": "middle left", "padding": 4, "font": {"size": 10}}
            edges = {"x0": 0, "x1": 1, "y0": y + 0.05, "y1": y + 0.95}
            figure.add_shape(**edges, fillcolor=fill, line_width=0, label=label)
            figure.add_annotation(text=count, x=1, y=y + 0.5, xanchor="right", font_size=10)
        depth = y + 1.5
    still(figure)
    figure.update_xaxes(range=[0, 1]).update_yaxes(range=[depth, 0])
    return styled(figure, int(BOX_HEIGHT * depth) + 16)


def _boxes(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Text, fill and parameter count of each box; equal neighbours share one."""
    drawn: list[tuple[str, tuple, int]] = []
    for row in rows.itertuples():
        if drawn and row.kind in FOLLOWERS:
            kinds, shape, count = drawn[-1]
            drawn[-1] = (f"{kinds} · {row.kind}", shape, count + row.n_parameters)
        else:
            drawn.append((row.kind, row.output_shape, row.n_parameters))
    boxes = []
    for (kinds, shape, count), equal in groupby(drawn):
        text = f"{kinds} → {' × '.join(map(str, shape))}"
        boxes.append((text, FILLS.get(kinds.split(" ")[0], OTHER_FILL), _times(len(list(equal)), count)))
    return boxes


def _times(n: int, count: int) -> str:
    return f"{n} × {count:,}" if n > 1 else f"{count:,}"


def system_overview(model: nn.Module) -> go.Figure:
    """From pattern and composition to the density at a point, with parameter counts (paper, Figs. 1, 7)."""
    left, middle, right = 0.16, 0.5, 0.84
    count = {name: f"{n_parameters(module):,}" for name, module in model.named_children()}
    figure = go.Figure()

    def box(x: float, y: float, text: str, fill: str = OTHER_FILL, span: int = 1) -> None:
        half = 0.155 + 0.17 * (span - 1)
        label = {"text": text, "font": {"size": 11}}
        figure.add_shape(
            x0=x - half, x1=x + half, y0=y, y1=y + 0.7, fillcolor=fill, line_width=0, label=label
        )

    def arrow(x0: float, y0: float, x1: float, y1: float) -> None:
        refs = {"xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
        style = {"showarrow": True, "arrowhead": 2, "arrowwidth": 1.2, "arrowcolor": INK, "text": ""}
        figure.add_annotation(x=x1, y=y1 - 0.02, ax=x0, ay=y0 + 0.7, **refs, **style)

    blue, green = FILLS["Linear"], FILLS["Conv1d"]
    branches = [(left, f"powder pattern<br>{model.settings['n_bins']} bins", "xrd_encoder", green)]
    if model.formula_encoder is not None:
        branches.append((middle, f"composition<br>{N_ELEMENTS} fractions", "formula_encoder", blue))
    for x, text, name, fill in branches:
        box(x, 0, text)
        box(x, 1, f"encoder, μ and σ<br>{count[name]}", fill)
        arrow(x, 0, x, 1)
        arrow(x, 1, x, 2)
    box(right, 0, "query point<br>(x, y, z)")
    box(right, 1, f"position encoder<br>{count['position_encoder']}", blue)
    arrow(right, 0, right, 1)
    arrow(right, 1, right, 4)
    box((left + middle) / 2, 2, "latent code<br>z = μ + ε σ, ε ~ N(0, 1)", span=2)
    for x, name, letter in ((left, "gamma", "γ"), (middle, "beta", "β")):
        box(x, 3, f"fusion {letter}<br>{count[name]}", blue)
        arrow(x, 2, x, 3)
        arrow(x, 3, x, 4)
    box(middle, 4, "FiLM: γ · position + β", span=3)
    box(middle, 5, f"regressor<br>{count['regressor']}", blue)
    box(middle, 6, "density<br>e/Å³")
    arrow(middle, 4, middle, 5)
    arrow(middle, 5, middle, 6)
    still(figure)
    figure.update_xaxes(range=[0, 1]).update_yaxes(range=[6.75, -0.05])
    return styled(figure, 460)
