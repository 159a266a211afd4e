"""Crystals as still drawings (SVG): atoms as balls, bonds, the edges of the cell.

>>> from pymatgen.core import Lattice
>>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
>>> drawn = drawing(salt, "rock salt")
>>> drawn.startswith("<svg"), drawn.count("<circle"), "rock salt" in drawn
(True, 27, True)
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

import numpy as np
from IPython.display import HTML
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from crystalnet.solving.report.picture import scene
from crystalnet.solving.templates import Template

SIZE = 200  # units of a drawing, our choice
TURN = np.radians(18), np.radians(-24)  # about x, then about y, our choice: no two edges fall together
STYLE = """<style>
.structures { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1rem; }
.structures figure { margin: 0; background: none; }
.structures figcaption { font-size: .85em; text-align: center; color: var(--pst-color-text-base, inherit); }
.structures svg { width: 100%; height: auto; } .structures line { stroke: #888; }
</style>"""


class Shown(NamedTuple):
    """A crystal in a gallery: what stands below it, line by line."""

    structure: Structure
    lines: tuple[str, ...]


def drawing(structure: Structure, title: str) -> str:
    """The conventional cell from a little above; atoms on its faces are drawn on each of them."""
    drawn = scene(structure)
    (x, y) = TURN
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    upright = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # c upwards, a towards the reader
    turn = about_x @ about_y @ upright
    edges = np.array(drawn["edges"]) @ turn.T
    scale = 0.44 * SIZE / np.abs(edges[..., :2]).max()

    def place(point: np.ndarray) -> tuple[float, float]:
        return SIZE / 2 + scale * point[0], SIZE / 2 - scale * point[1]

    def line(one: np.ndarray, other: np.ndarray, width: float) -> str:
        (x1, y1), (x2, y2) = place(one), place(other)
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        return f'<line {ends} stroke-width="{width}"/>'

    atoms = np.array([atom[:3] for atom in drawn["atoms"]]) @ turn.T
    things = [
        ((atoms[i, 2] + atoms[j, 2]) / 2 - 0.01, line(atoms[i], atoms[j], 2)) for i, j in drawn["bonds"]
    ]
    for point, (*_, radius, colour) in zip(atoms, drawn["atoms"], strict=True):
        cx, cy = place(point)
        ball = f'cx="{cx:.1f}" cy="{cy:.1f}" r="{scale * radius:.1f}" fill="{colour}" stroke="#fff"'
        things.append((point[2], f"<circle {ball}/>"))
    nearest_last = [thing for _, thing in sorted(things, key=lambda one: one[0])]
    parts = [*(line(*edge, 1) for edge in edges), *nearest_last]
    label = f'role="img" aria-label="{escape(title)}"'
    return f'<svg viewBox="0 0 {SIZE} {SIZE}" {label}>{"".join(parts)}</svg>'


def gallery(shown: Iterable[Shown]) -> HTML:
    """Drawings side by side, as many in a row as there is room for.

    >>> iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> gallery([Shown(iron, ("tungsten type", "Fe"))]).data.count("<figure>")
    1
    """
    figures = (
        f"<figure>{drawing(one.structure, one.lines[0])}"
        f"<figcaption>{'<br>'.join(map(escape, one.lines))}</figcaption></figure>"
        for one in shown
    )
    return HTML(f'{STYLE}<div class="structures">{"".join(figures)}</div>')


def of_type(template: Template) -> Shown:
    """A type, drawn with the elements that are most frequent in it: name, formula, space group, compounds.

    >>> from crystalnet.physics.atoms import Atoms
    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0] * 3, [0.5] * 3]), np.array(["Na", "Cl"]))
    >>> of_type(Template.of(salt, "rock salt type")).lines
    ('rock salt type', 'AB, Fm-3m (225)', '1 compound')
    """
    atoms = template.atoms(template.lattice, template.symbols)
    primitive = Structure(Lattice(atoms.lattice), atoms.symbols.tolist(), atoms.frac_coords)
    whole = primitive.make_supercell(template.cell, in_place=False)
    symbol = sg_symbol_from_int_number(template.space_group)
    formula = primitive.composition.anonymized_formula
    n = template.n_compounds
    told = f"{n} compound{'s' * (n > 1)}"
    return Shown(whole, (template.name, f"{formula}, {symbol} ({template.space_group})", told))
