"""The atoms of a crystal in its cell, to turn by hand."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.show.densities import CAMERA, CORNERS, cell_edges
from crystalnet.show.style import COLOURS, styled

NEAR_FACE = 0.02  # fractional: atoms so near a face are drawn on the opposite one as well, our choice
SMALLEST, GROWTH = 16, 2.0  # pixels of an atom's marker, and per cube root of its atomic number, our choice
EYE = {axis: 0.85 * value for axis, value in CAMERA["eye"].items()}  # nearer than to a surface


def atoms_in_cell(atoms: Atoms, title: str = "") -> go.Figure:
    """Atoms as marked spots, a colour an element, in the edges of their cell.

    An atom on a face, an edge or a corner of the cell is drawn at all of its places there.

    >>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
    >>> len(atoms_in_cell(nacl).data)  # both elements in one trace, the edges
    2
    """
    images = np.mod(atoms.frac_coords, 1)[:, None] + np.concatenate([CORNERS, -CORNERS[1:]])  # (A, 15, 3)
    which, image = np.nonzero(((images > -NEAR_FACE) & (images < 1 + NEAR_FACE)).all(-1))
    x, y, z = (images[which, image] @ atoms.lattice).astype(np.float32).T
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in atoms.symbols.tolist()])[which]
    elements = np.unique(numbers)
    spots = go.Scatter3d(
        x=x, y=y, z=z, mode="markers+text", text=atoms.symbols[which].tolist(), textposition="middle center",
        textfont={"color": "#FFFFFF", "size": 11}, hovertemplate="%{text}<extra></extra>", showlegend=False,
        marker={
            "size": SMALLEST + GROWTH * np.cbrt(numbers),
            "color": [COLOURS[i % len(COLOURS)] for i in np.searchsorted(elements, numbers)],
            "opacity": 1, "line": {"width": 0},
        },
    )  # fmt: skip
    figure = go.Figure([spots, cell_edges(atoms.lattice)])
    figure.update_scenes(camera={"eye": EYE})
    return styled(figure, 320, title, margin={"l": 0, "r": 0, "t": 28 * bool(title), "b": 0})
