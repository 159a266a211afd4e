"""Crystals of one structure type laid upon each other: axes, origin and atoms matched, whatever the elements.

A crystal has as many descriptions as its space group has maps in its normaliser (see `data.normalisers`). Two
crystals are alike if one of them brings cell and sites of the first near those of the second, and the atoms
of each element onto atoms of one element: so it is told which element plays which role.

>>> cubes = [(5.64, "Na", "Cl"), (4.21, "Mg", "O")]
>>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
>>> salts = [Atoms(a / 2 * (1 - np.eye(3)), places, np.array(symbols)) for a, *symbols in cubes]
>>> salt, other = map(Member.of, salts)
>>> salt.roles, salt.role, salt.kind.tolist() == other.kind.tolist(), salt.signature == other.signature
(('Cl', 'Na'), array([1, 0]), True, True)
>>> salt.first, salt.coords.shape, round(salt.unit, 3), len(salt.cells) == len(salt.normaliser.axes)
(array([0, 1]), (2, 3), 0.281, True)
>>> np.array_equal(salt.shapes, shapes_of(salt.cells))
True
>>> lies_upon(other, salt).elements
('O', 'Mg')
>>> match(other, salt, salt.template.lattice * salt.unit, salt.coords[salt.first]).strain.round(6).max()
np.float64(0.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from crystalnet.data.chemistry import unlikeness
from crystalnet.data.leakage import ENANTIOMORPHS, Formula
from crystalnet.data.normalisers import Normaliser, normaliser_of
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.templates import SAME_PLACE, Template, hall_number

# Our choice: refinement comes home from there.
LENGTHS, COSINES = 0.12, 0.12  # relative differences of axes, of cells of equal volume, and of their cosines
APART = 0.25  # farthest that two atoms of one site may lie, in units of (V / n)^(1/3), about 2.5 Å
EQUAL = 0.03  # in the same units: of ways that differ by less, that with the most alike elements is chosen


class Match(NamedTuple):
    """How a crystal lies upon another: what takes the first to the second.

    Attributes:
        strain: (3, 3) symmetric, logarithmic, Cartesian, of cells of equal volume.
        moves: (O, 3) of each site's atom, conventional axes.
        elements: (R,) the element in each role.
    """

    strain: np.ndarray
    moves: np.ndarray
    elements: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Member:
    """A crystal to be compared: sites in primitive axes, and its cell in all descriptions.

    Attributes:
        template: the crystal; of an enantiomorphic pair of groups the one with the lower number.
        whole: formula of the crystal that it is a part of, if it is: without hydrogen, say.
    """

    template: Template
    whole: Formula | None = None

    @classmethod
    def of(
        cls,
        atoms: Atoms,
        name: str = "the crystal",
        tolerance: float | None = None,
        whole: Formula | None = None,
    ) -> Member:
        """A crystal, any cell of it; arguments and errors as those of `Template.of`."""
        template = Template.of(atoms, name, tolerance)
        if template.space_group in ENANTIOMORPHS:
            template = Template.of(atoms._replace(frac_coords=-atoms.frac_coords), name, tolerance)
        return cls(template, whole)

    @property
    def compound(self) -> Formula:
        """The formula that it counts for.

        >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
        >>> Member.of(iron, whole=(("Fe", 1), ("H", 1))).compound
        (('Fe', 1), ('H', 1))
        """
        return self.whole or self.template.formula

    @cached_property
    def normaliser(self) -> Normaliser:
        return normaliser_of(hall_number(self.template.space_group))

    @cached_property
    def unit(self) -> float:
        """What makes the volume of its primitive cell 1."""
        return float(abs(np.linalg.det(self.template.lattice)) / self.template.n_points) ** (-1 / 3)

    @cached_property
    def coords(self) -> np.ndarray:
        """(A, 3) of all atoms, primitive axes."""
        return self.template.frac_coords @ self.template.cell

    @cached_property
    def first(self) -> np.ndarray:
        """(O,) one atom of each site."""
        return np.unique(self.template.sites, return_index=True)[1]

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """(R,) elements, the rarest first."""
        counts = self.template.counts
        return tuple(sorted(counts, key=lambda symbol: (counts[symbol], symbol)))

    @cached_property
    def role(self) -> np.ndarray:
        """(A,) place of each atom's element among `roles`."""
        places = {symbol: place for place, symbol in enumerate(self.roles)}
        return np.array([places[symbol] for symbol in self.template.symbols.tolist()])

    @cached_property
    def kind(self) -> np.ndarray:
        """(A,) what a site is, as a number: atoms of its element, of the site, and its free coordinates."""
        template, coords = self.template, self.coords[self.first]
        images = np.einsum("gij,oj->goi", template.rotations, coords) + template.translations[:, None]
        apart = images - coords
        apart = (apart - np.round(apart)) @ np.linalg.solve(template.cell, template.lattice)
        stays = np.linalg.norm(apart, axis=2) < SAME_PLACE
        traces = np.trace(template.rotations, axis1=1, axis2=2)
        free = np.round(traces @ stays / stays.sum(0)).astype(int)
        sizes = np.bincount(template.sites)
        element = np.bincount(self.role)[self.role]
        return (element * 1000 + sizes[template.sites]) * 4 + free[template.sites]

    @cached_property
    def signature(self) -> tuple:
        """Equal for crystals that may be alike: amounts, group, sites of each element."""
        sites: dict[int, list[int]] = {}
        for atom in self.first:
            sites.setdefault(int(self.role[atom]), []).append(int(self.kind[atom]))
        return (
            self.template.amounts,
            self.template.space_group,
            tuple(sorted(map(tuple, map(sorted, sites.values())))),
        )

    @cached_property
    def cells(self) -> np.ndarray:
        """(m, 3, 3) rows of the conventional cell in every description, volume of the primitive cell 1."""
        primitive = np.linalg.solve(self.template.cell, self.template.lattice)
        return self.normaliser.axes @ (primitive * self.unit)

    @cached_property
    def shapes(self) -> np.ndarray:
        """(m, 6) of `cells`: logarithms of the lengths in units of LENGTHS, cosines in units of COSINES."""
        return shapes_of(self.cells)


def shapes_of(cells: np.ndarray) -> np.ndarray:
    """(..., 6) of cells (..., 3, 3): ln a, b, c over LENGTHS, cosines of alpha, beta, gamma over COSINES."""
    lengths = np.linalg.norm(cells, axis=-1)
    units = cells / lengths[..., None]
    cosines = (units[..., [1, 0, 0], :] * units[..., [2, 2, 1], :]).sum(-1)
    return np.concatenate([np.log(lengths) / LENGTHS, cosines / COSINES], axis=-1)


def lies_upon(member: Member, onto: Member) -> Match | None:
    """How a crystal lies upon another one or upon a type, as `match` finds it; None if it does not."""
    if member.signature != onto.signature:
        return None
    return match(member, onto, onto.template.lattice * onto.unit, onto.coords[onto.first])


def match(member: Member, onto: Member, lattice: np.ndarray, coords: np.ndarray) -> Match | None:
    """How a member lies upon another one that has been given the mean of its cluster; None if it does not.

    Args:
        member: of the same `signature` as `onto`.
        onto: tells sites and roles.
        lattice: (3, 3) conventional, the mean cell, volume of the primitive cell 1.
        coords: (O, 3) mean places of the first atoms of the sites of `onto`, primitive axes.
    """
    normaliser = member.normaliser
    near = (np.abs(member.shapes - shapes_of(lattice)) < 1).all(1)
    turns = np.flatnonzero(near)
    if not len(turns):
        return None
    turned = np.einsum("mij,aj->mai", normaliser.linear[turns], member.coords)
    moved = (turned[:, None] + normaliser.shifts[turns][:, :, None]).reshape(-1, *member.coords.shape)
    turn = np.repeat(turns, normaliser.shifts.shape[1])
    alike = onto.kind[onto.first][:, None] == member.kind
    if normaliser.free.any():  # each atom of the rarest site of one may be that of the other
        rarest = alike.sum(1).argmin()
        steps = (coords[rarest] - moved[:, alike[rarest]]) @ normaliser.free.T
        moved = (moved[:, None] + steps[:, :, None]).reshape(-1, *member.coords.shape)
        turn = np.repeat(turn, steps.shape[1])
    to_primitive = np.linalg.solve(onto.template.cell, lattice)
    unit = len(member.coords) ** (-1 / 3)
    apart = moved[:, None] - coords[:, None]  # (D, O, A, 3)
    apart -= np.round(apart)
    distances = np.where(alike, np.linalg.norm(apart @ to_primitive, axis=3), np.inf)
    nearest = distances.argmin(2)  # (D, O)
    farthest = np.take_along_axis(distances, nearest[:, :, None], 2).max((1, 2)) / unit
    reach = (2 if normaliser.free.any() else 1) * APART  # before the origin is at the mean
    found: dict[tuple[str, ...], tuple[float, Match]] = {}
    for one in np.argsort(farthest, kind="stable"):
        if farthest[one] > min([reach, *(off + EQUAL for off, _ in found.values())]):
            break
        atoms = nearest[one]
        pairs = set(zip(onto.role[onto.first].tolist(), member.role[atoms].tolist(), strict=True))
        if len(pairs) > len(onto.roles) or len(set(member.template.sites[atoms].tolist())) < len(atoms):
            continue
        elements = tuple(member.roles[place] for _, place in sorted(pairs))
        if elements not in found:
            moves = apart[one, np.arange(len(atoms)), atoms]
            moves = moves - (moves @ normaliser.free.T).mean(0)
            off = np.linalg.norm(moves @ to_primitive, axis=1).max() / unit
            if off < APART:
                moves = moves @ np.linalg.inv(member.template.cell)
                found[elements] = off, Match(_strain(lattice, member.cells[turn[one]]), moves, elements)
    if not found:
        return None
    least = min(off for off, _ in found.values())
    equal = [found for off, found in found.values() if off <= least + EQUAL]
    return min(equal, key=lambda one: sum(map(unlikeness, onto.roles, one.elements)))


def _strain(lattice: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Of a cell, however it lies, from a lattice."""
    stretch = np.linalg.solve(lattice, cell)  # Cartesian; the polar part is the strain
    squares, axes = np.linalg.eigh(stretch @ stretch.T)
    return (axes * np.log(squares) / 2) @ axes.T
