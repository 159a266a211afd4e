"""A crystal that turns under the pointer: its atoms as JSON, and the script that draws them on a canvas."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

NEAR_FACE = 0.02  # fractional: atoms so near a face are drawn on the opposite one as well, our choice
BOND = 1.15  # of the shortest distance of an atom, our choice: what is drawn as a bond
LONGEST = 3.2  # Å, our choice
MOST = 400  # atoms, our choice: more are not told apart on paper
# Okabe & Ito, Color Universal Design (2008), by frequency of the element
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#777777")
SCRIPT = Path(__file__).with_name("picture.js")


def picture(structure: Structure) -> str:
    """Canvas, legend and data of a conventional cell; the script stands in the page once.

    >>> from pymatgen.core import Lattice
    >>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    >>> picture(salt).count("<canvas"), len(scene(salt)["atoms"])
    (1, 27)
    """
    drawn = scene(structure)
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{symbol}</span>'
        for symbol, colour in drawn["elements"].items()
    )
    data = json.dumps(drawn, separators=(",", ":"))
    return (
        '<canvas id="picture" width="720" height="520" tabindex="0" role="img"'
        ' aria-label="The crystal in its cell; drag or use the arrow keys to turn it"></canvas>'
        f'<p class="legend">{legend}</p><script type="application/json" id="picture-data">{data}</script>'
    )


def scene(structure: Structure) -> dict:
    """Atoms [x, y, z, radius, colour], bonds between them and edges of the cell, Å from the cell's middle."""
    symbols = [site.specie.symbol for site in structure]
    order = sorted(set(symbols), key=lambda symbol: (-symbols.count(symbol), symbol))
    colours = {symbol: COLOURS[min(k, len(COLOURS) - 1)] for k, symbol in enumerate(order)}
    lattice, middle = structure.lattice.matrix, structure.lattice.matrix.sum(0) / 2
    atoms, places = [], []
    for site, symbol in zip(structure, symbols, strict=True):
        radius = 0.25 + 0.12 * float(site.specie.atomic_radius or 1.5)
        for shift in product((0, 1, -1), repeat=3):
            place = np.mod(site.frac_coords, 1) + shift
            if ((place > -NEAR_FACE) & (place < 1 + NEAR_FACE)).all() and len(atoms) < MOST:
                places.append(place @ lattice - middle)
                atoms.append([*places[-1].round(3).tolist(), round(radius, 2), colours[symbol]])
    apart = np.linalg.norm(np.array(places)[:, None] - np.array(places), axis=2)
    np.fill_diagonal(apart, np.inf)
    reach = np.minimum(BOND * apart.min(1), LONGEST)
    bonds = np.argwhere((apart <= np.maximum(reach[:, None], reach)) & (apart <= LONGEST))
    corners = [np.array(corner) for corner in product((0, 1), repeat=3)]
    edges = [
        [((one @ lattice) - middle).round(3).tolist(), ((other @ lattice) - middle).round(3).tolist()]
        for k, one in enumerate(corners)
        for other in corners[k + 1 :]
        if np.abs(one - other).sum() == 1
    ]
    pairs = [pair for pair in bonds.tolist() if pair[0] < pair[1]]
    return {"atoms": atoms, "bonds": pairs, "edges": edges, "elements": colours}
