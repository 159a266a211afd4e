"""One density, or a few side by side: isosurfaces to turn by hand, and slices.

>>> x = np.arange(8) / 8
>>> cmed = np.add.outer(np.add.outer(np.cos(2 * np.pi * x), np.cos(2 * np.pi * x)), np.cos(2 * np.pi * x))
>>> [type(trace).__name__ for trace in isosurface(checked(cmed), stride=1).data]
['Mesh3d', 'Mesh3d', 'Scatter3d']
>>> len(isosurfaces({"one": cmed, "two": cmed}).data), len(slices(cmed, cmed).data)
(6, 9)
>>> vertices, triangles = surface_mesh(cmed, default_levels(cmed)[0])
>>> bool((0 <= vertices).all() and (vertices <= 1).all()), triangles.shape[1]
(True, 3)
>>> mesh = mesh_trace(vertices, triangles, 4 * np.eye(3), style=("red", 1.0), name="a surface")
>>> len(surface_traces(cmed, default_levels(cmed))), type(cell_edges(4 * np.eye(3))).__name__
(2, 'Scatter3d')
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots
from skimage.measure import marching_cubes

from crystalnet.errors import Code, CrystalNetError
from crystalnet.show.style import (
    DIVERGING,
    INK,
    SEQUENTIAL,
    still,
    styled,
    surface_colours,
)

Levels = float | Sequence[float] | None
VOLUME_SHARES = (0.20, 0.04)
"""Default levels: the surfaces that enclose the densest 20 % and 4 % of the cell's volume (our choice)."""

CORNERS = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, 8).T
EDGES = [(i, j) for i in range(8) for j in range(i) if np.abs(CORNERS[i] - CORNERS[j]).sum() == 1]
CAMERA = {"eye": {"x": 1.7, "y": 1.05, "z": 0.75}}


def default_levels(cmed: np.ndarray) -> tuple[float, ...]:
    """The densities, rising, above which lie `VOLUME_SHARES` of the voxels."""
    return tuple(float(level) for level in np.quantile(cmed, 1 - np.array(VOLUME_SHARES)))


def checked(cmed: ArrayLike) -> np.ndarray:
    """The density as an array. Raises CrystalNetError unless it is (n, n, n), n > 2, and finite."""
    cmed = np.asarray(cmed)
    if cmed.ndim != 3 or min(cmed.shape) < 3:
        raise CrystalNetError(
            f"A density to draw is (n, n, n), not {cmed.shape}. Pass one crystal's CMED.", Code.BAD_ARGUMENT
        )
    if not np.isfinite(cmed).all():
        raise CrystalNetError(
            "The density holds NaN or infinite values. Check where it was made.", Code.BAD_DENSITY
        )
    return cmed


def surface_mesh(cmed: np.ndarray, level: float, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the isosurface of a periodic density, closed at the cell's faces.

    Args:
        cmed: (n, n, n).
        stride: take every stride-th voxel.

    Returns:
        Vertices (v, 3) in fractional coordinates [0, 1] and triangles (t, 3); both empty where the density
        stays on one side of the level.
    """
    n = len(cmed)
    cmed = np.asarray(cmed, np.float32)[::stride, ::stride, ::stride]
    if not cmed.min() < level < cmed.max():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint16)
    whole = np.pad(cmed, (0, 1), mode="wrap")  # the cell's last face is its first
    closed = np.pad(whole, 1, constant_values=cmed.min())  # nothing outside: a lid where a face cuts
    vertices, triangles, *_ = marching_cubes(closed, level, gradient_direction="ascent")  # faces outwards
    frac_coords = np.clip((vertices - 1) * stride / n, 0, 1)
    return frac_coords.astype(np.float32), triangles.astype(np.uint16 if len(vertices) < 2**16 else np.int32)


def isosurface(
    cmed: ArrayLike,
    level: Levels = None,
    lattice: ArrayLike | None = None,
    title: str = "",
    stride: int = 2,
) -> go.Figure:
    """Nested isosurfaces of a density that the reader can turn.

    Args:
        cmed: (n, n, n), e/Å^3.
        level: one level or several, rising, e/Å^3; by default those that enclose `VOLUME_SHARES` of the cell.
        lattice: (3, 3) rows in Å for the true shape of the cell; without it the unit cube.
        stride: draw every stride-th voxel; 1 shows them all and weighs five times as much.
    """
    return isosurfaces({title: cmed}, level, lattice, stride)


def isosurfaces(
    cmeds: dict[str, ArrayLike], level: Levels = None, lattice: ArrayLike | None = None, stride: int = 2
) -> go.Figure:
    """Densities side by side, {title: cmed}; see `isosurface`. Default levels are the first density's.

    Every panel takes one of the some sixteen WebGL contexts that a page has: more than four densities are
    better shown by `gallery` or `multi_view`.
    """
    cmeds = {title: checked(cmed) for title, cmed in cmeds.items()}
    levels = default_levels(next(iter(cmeds.values()))) if level is None else np.atleast_1d(level)
    figure = make_subplots(
        1,
        len(cmeds),
        specs=[[{"type": "scene"}] * len(cmeds)],
        subplot_titles=list(cmeds) if any(cmeds) else None,
        horizontal_spacing=0.01,
    )
    for col, cmed in enumerate(cmeds.values(), 1):
        figure.add_traces(surface_traces(cmed, levels, lattice, stride), rows=1, cols=col)
        figure.add_trace(cell_edges(lattice), 1, col)
    figure.update_scenes(camera=CAMERA)
    return styled(figure, 380, margin={"l": 0, "r": 0, "t": 28 if any(cmeds) else 0, "b": 0})


def surface_traces(
    cmed: np.ndarray, levels: Sequence[float], lattice: ArrayLike | None = None, stride: int = 2
) -> list[go.Mesh3d]:
    """One mesh a level, innermost first: plotly draws see-through surfaces in this order."""
    surfaces = list(zip(levels, surface_colours(len(levels)), strict=True))
    return [
        mesh_trace(*surface_mesh(cmed, level, stride), lattice, style=style, name=f"{level:.3g} e/Å³")
        for level, style in reversed(surfaces)
    ]


def mesh_trace(
    vertices: np.ndarray,
    triangles: np.ndarray,
    lattice: ArrayLike | None,
    *,
    style: tuple[str, float],
    name: str,
) -> go.Mesh3d:
    """A surface given in fractional coordinates, drawn in the lattice or in the unit cube.

    Args:
        style: colour and opacity.
    """
    colour, alpha = style
    x, y, z = _in_cell(vertices, lattice).T
    i, j, k = triangles.T
    return go.Mesh3d(
        x=x.copy(), y=y.copy(), z=z.copy(), i=i.copy(), j=j.copy(), k=k.copy(),
        color=colour, opacity=alpha, name=name, hoverinfo="name",
        lighting={"ambient": 0.6, "diffuse": 0.6, "specular": 0.1, "roughness": 0.6},
        lightposition={"x": 2000, "y": 1000, "z": 3000},
    )  # fmt: skip


def cell_edges(lattice: ArrayLike | None = None) -> go.Scatter3d:
    """The cell's twelve edges, and the names of its axes."""
    gap = np.full(3, np.nan)
    path = np.concatenate([[CORNERS[i], CORNERS[j], gap] for i, j in EDGES])
    names = np.stack([1.06 * np.eye(3), np.full((3, 3), np.nan)], 1).reshape(6, 3)
    x, y, z = _in_cell(np.concatenate([path, names]), lattice).T
    return go.Scatter3d(
        x=x, y=y, z=z, mode="lines+text", text=[""] * len(path) + ["a", "", "b", "", "c", ""],
        line={"color": INK, "width": 2}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def slices(
    cmed: ArrayLike,
    compare: ArrayLike | None = None,
    labels: tuple[str, str] = ("truth", "prediction"),
    position: float = 0.5,
) -> go.Figure:
    """Three orthogonal slices through a density; with `compare`, its own and the difference below.

    Args:
        cmed, compare: (n, n, n), e/Å^3, both on one colour scale.
        labels: names of the two.
        position: fractional coordinate of the slices; 0.5 is the centre, 0 the face.
    """
    rows = {labels[0]: checked(cmed)}
    if compare is not None:
        rows[labels[1]] = checked(compare)
    top = max(float(rho.max()) for rho in rows.values())
    panels = [(name, rho, "coloraxis") for name, rho in rows.items()]
    if compare is not None:
        panels.append((f"{labels[0]} − {labels[1]}", rows[labels[0]] - rows[labels[1]], "coloraxis2"))
    figure = make_subplots(
        len(panels),
        3,
        row_titles=[name for name, *_ in panels] if compare is not None else None,
        column_titles=[f"{axis} = {position:g}" for axis in "xyz"],
        horizontal_spacing=0.02,
        vertical_spacing=0.02,
    )
    for row, (_, rho, coloraxis) in enumerate(panels, 1):
        for axis in range(3):
            n = rho.shape[axis]
            plane = np.take(rho, round(position * n) % n, axis).T.astype(np.float32)
            figure.add_trace(go.Heatmap(z=plane, coloraxis=coloraxis, zsmooth="best"), row, axis + 1)
    span = float(np.abs(panels[-1][1]).max()) if compare is not None else 1.0
    still(figure)
    for number, yaxis in enumerate(figure.select_yaxes(), 1):
        yaxis.update(scaleanchor=f"x{number}" if number > 1 else "x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    bar = {"len": 0.6 if compare is not None else 0.9, "title": {"text": "e/Å³"}, "x": 1.05}
    figure.update_layout(
        coloraxis={"colorscale": SEQUENTIAL, "cmin": min(0.0, float(cmed.min())), "cmax": top}
        | {"colorbar": bar | {"y": 0.68 if compare is not None else 0.5}},
        coloraxis2={"colorscale": DIVERGING, "cmin": -span, "cmax": span}
        | {"colorbar": bar | {"len": 0.3, "y": 0.15}},
    )
    return styled(figure, 60 + 190 * len(panels), margin={"l": 8, "r": 8, "t": 28, "b": 8})


def _in_cell(frac_coords: np.ndarray, lattice) -> np.ndarray:
    if lattice is None:
        return np.asarray(frac_coords, np.float32)
    return (frac_coords @ np.asarray(lattice, float)).astype(np.float32)
