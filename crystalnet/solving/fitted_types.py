"""A structure type as the mean of compounds, and the template that it makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from pymatgen.core import Composition
from scipy.optimize import linear_sum_assignment

from crystalnet.data.crystals import crystal_system_of
from crystalnet.solving.templates import (
    FAMILIES,
    SAME_PLACE,
    STRAINS,
    Template,
    conventional,
    hall_number,
    operations_of,
)


class FittedType(NamedTuple):
    """What a cluster's compounds have in common.

    Attributes:
        amounts: of the elements in the reduced formula, rising.
        space_group: number.
        lattice: (3, 3) rows, Å, conventional: the mean cell, with the mean volume.
        strain_spread: (6,) standard deviation of its strains xx, yy, zz, yz, xz, xy, at equal volume.
        coords: (O, 3) an atom of each site, primitive axes.
        spread: (O,) Å, root mean square of its moves.
        roles: (O,) place of its role among `elements`.
        letters: (O,) Wyckoff letters.
        elements: for each role how many compounds have an element there, by symbol; rarest role first.
        n_compounds: that it is fitted to.

    >>> from crystalnet.physics.atoms import Atoms
    >>> from crystalnet.solving.clusters import fitted_types
    >>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> cell, pairs = 2.82 * (1 - np.eye(3)), (["Na", "Cl"], ["K", "F"])
    >>> mean = fitted_types((pair[0], Atoms(cell, places, np.array(pair))) for pair in pairs)[0]
    >>> mean.template().space_group, FittedType.from_dict(mean.as_dict()).elements == mean.elements
    (225, True)
    """

    amounts: tuple[int, ...]
    space_group: int
    lattice: np.ndarray
    strain_spread: np.ndarray
    coords: np.ndarray
    spread: np.ndarray
    roles: np.ndarray
    letters: tuple[str, ...]
    elements: tuple[Counter[str], ...]
    n_compounds: int

    def template(self, name: str = "") -> Template:
        """Its symmetry exact, and with the elements that are most frequent in it."""
        hall = hall_number(self.space_group)
        cell, (rotations, translations) = conventional(hall), operations_of(hall)
        coords, site = _orbits(self.coords, rotations, translations, np.linalg.solve(cell, self.lattice))
        roles, family = _typical(self.elements), FAMILIES[crystal_system_of(self.space_group)]
        symbols = roles[self.roles][site]
        return Template(
            f"{name or Composition(Counter(symbols.tolist())).reduced_formula} type",
            self.space_group,
            family,
            self.lattice,
            cell,
            coords @ np.linalg.inv(cell),
            symbols,
            site,
            tuple(self.letters[place] for place in site),
            rotations,
            translations,
            n_compounds=self.n_compounds,
            roles=dict(zip(roles.tolist(), self.elements, strict=True)),
            strain_spread=self.strain_spread[_first_component(family)],
            site_spread=self.spread[site],
        )

    def as_dict(self) -> dict:
        """A JSON-able dictionary that `from_dict` turns back into the same type."""
        return {
            name: part.tolist() if isinstance(part, np.ndarray) else part
            for name, part in self._asdict().items()
        }

    @classmethod
    def from_dict(cls, parts: dict) -> FittedType:
        """The type that `as_dict` wrote."""
        arrays = ("lattice", "strain_spread", "coords", "spread", "roles")
        return cls(
            **parts
            | {name: np.array(parts[name]) for name in arrays}
            | {"amounts": tuple(parts["amounts"]), "letters": tuple(parts["letters"])}
            | {"elements": tuple(map(Counter, parts["elements"]))}
        )


def _orbits(
    places: np.ndarray, rotations: np.ndarray, translations: np.ndarray, primitive: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All atoms (A, 3) of sites at (O, 3), and the site (A,) of each, primitive axes.

    A site on a symmetry element is moved onto it exactly: rounding left it beside.
    """

    def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return first - second - np.round(first - second)

    def same(steps: np.ndarray) -> np.ndarray:
        return np.linalg.norm(steps @ primitive, axis=-1) < SAME_PLACE

    steps = apart(places @ rotations.transpose(0, 2, 1) + translations[:, None], places)  # (G, O, 3)
    stays = same(steps)
    places = places + (steps * stays[:, :, None]).sum(0) / stays.sum(0)[:, None]
    images = places @ rotations.transpose(0, 2, 1) + translations[:, None]
    earliest = same(apart(images[:, None], images)).argmax(1)  # (G, O): the operation that goes there first
    site, operation = np.nonzero((earliest == np.arange(len(rotations))[:, None]).T)
    return np.mod(images[operation, site], 1), site


def _typical(roles: Sequence[Counter[str]]) -> np.ndarray:
    """The most frequent elements of the roles (R,), a different one for each."""
    symbols = sorted(set().union(*roles))
    counts = np.array([[counts[symbol] for symbol in symbols] for counts in roles])
    never = (counts == 0) * counts.sum()  # weighs more than all that is there
    return np.array(symbols)[linear_sum_assignment(counts - never, maximize=True)[1]]


@cache
def _first_component(family: str) -> list[int]:
    """Where among xx, yy, zz, yz, xz, xy each strain of a family has its size."""
    components = STRAINS[family][:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return components.argmax(1).tolist()
