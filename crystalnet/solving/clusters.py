"""Structure types fitted to crystals: those that lie alike make a cluster, which keeps their statistics.

Crystals come one after the other. Each joins the cluster that it lies nearest to, or begins one of its own.
A compound counts once, however many entries it has.

>>> cubes = [(5.64, "Na", "Cl"), (4.21, "Mg", "O")]
>>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
>>> salts = {a: Atoms(a / 2 * (1 - np.eye(3)), places, np.array(symbols)) for a, *symbols in cubes}
>>> fitted_types(salts.items())[0].n_compounds
2
>>> first, second = (members_of(atoms, "salt")[0] for atoms in salts.values())
>>> cluster = Cluster(first)
>>> how = cluster.matched(second)
>>> cluster.add(second, how)
>>> len(cluster), round(cluster.off(how), 3), cluster.fitted().lattice[0, 0].round(3)
(2, 0.0, np.float64(5.027))
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from crystalnet.data.crystals import SYMPREC
from crystalnet.data.leakage import Formula
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.members import Match, Member, match, shapes_of
from crystalnet.solving.templates import strained

TOLERANCES = SYMPREC, 10 * SYMPREC  # Å; the second, that of the Materials Project, forgives relaxed atoms
Named = tuple[str, Atoms] | tuple[str, Atoms, Formula]


class Cluster:
    """Crystals that lie alike."""

    def __init__(self, member: Member):
        self.first = member
        self._lattice = member.template.lattice * member.unit
        self._coords = member.coords[member.first]
        self._strains: list[np.ndarray] = []
        self._moves: list[np.ndarray] = []
        self._volumes: list[float] = []
        self._elements: list[tuple[str, ...]] = []
        self._formulas: set[Formula] = set()
        self._strain, self._move = np.zeros((3, 3)), np.zeros((len(member.first), 3))
        self.add(member, Match(self._strain, self._move, member.roles))

    def __len__(self) -> int:
        """Different compounds."""
        return len(self._formulas)

    def add(self, member: Member, match: Match) -> None:
        """One more, as `matched` laid it, unless its compound is there already."""
        if member.compound in self._formulas:
            return
        self._formulas.add(member.compound)
        self._strains.append(match.strain + self._strain)
        self._moves.append(match.moves + self._move)
        self._volumes.append(member.unit**-3)
        self._elements.append(match.elements)
        self._strain, self._move = np.mean(self._strains, axis=0), np.mean(self._moves, axis=0)
        self.lattice = strained(self._lattice, self._strain)
        self.coords = self._coords + self._move @ self.first.template.cell
        self.shape = shapes_of(self.lattice)

    def matched(self, member: Member) -> Match | None:
        """How a member lies upon the cluster's mean, see `match`."""
        return match(member, self.first, self.lattice, self.coords)

    def off(self, match: Match) -> float:
        """How far a member lies from the mean: atoms and strain, in units of the cell's edge."""
        moves = ((match.moves @ self.lattice) ** 2).sum(1).mean()
        return float(np.sqrt(moves + (match.strain**2).sum()))

    def fitted(self) -> FittedType:
        first = self.first
        template = first.template
        lattice = self.lattice * np.mean(self._volumes) ** (1 / 3)
        strains = np.array(self._strains)[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        moves = (np.array(self._moves) - self._move) @ lattice
        return FittedType(
            template.amounts,
            template.space_group,
            np.linalg.cholesky(lattice @ lattice.T),  # a along x again, b in the xy plane
            strains.std(0),
            self.coords,
            np.sqrt((moves**2).sum(2).mean(0)),
            first.role[first.first],
            tuple(template.wyckoffs[atom] for atom in first.first),
            tuple(map(Counter, zip(*self._elements, strict=True))),
            len(self),
        )


def fitted_types(
    crystals: Iterable[Named],
    relatives: Iterable[Named] = (),
    *,
    fewest: int = 2,
    tolerances: Sequence[float] = TOLERANCES,
) -> list[FittedType]:
    """Types of crystals of one anonymised formula, the most frequent first.

    Args:
        crystals: names and atoms, any cells of them, and if they are parts of something, the formula of the
            whole. Those whose symmetry is not found are passed over.
        relatives: the same of further ones, which begin no type, but join what otherwise were one crystal's.
        fewest: compounds that a type must be fitted to.
        tolerances: Å, within which symmetry is looked for. Where two of them give different types the crystal
            counts in both.
    """
    members = _by_signature(crystals, tolerances)
    clusters = [cluster for alike in members.values() for cluster in _clustered(alike)]
    alone: dict[tuple, list[Cluster]] = defaultdict(list)
    for cluster in clusters:
        if len(cluster) == 1:
            alone[cluster.first.signature].append(cluster)
    for signature, others in _by_signature(relatives if alone else (), tolerances).items():
        for member in others:
            if (found := _best_cluster(member, alone.get(signature, ()))) is not None:
                found[0].add(member, found[1])
    kept = sorted((cluster for cluster in clusters if len(cluster) >= fewest), key=len, reverse=True)
    return [cluster.fitted() for cluster in kept]


def _by_signature(crystals: Iterable[Named], tolerances: Sequence[float]) -> dict[tuple, list[Member]]:
    members: dict[tuple, list[Member]] = defaultdict(list)
    for name, atoms, *whole in crystals:
        for member in members_of(atoms, name, tolerances, *whole):
            members[member.signature].append(member)
    return members


def members_of(
    atoms: Atoms, name: str, tolerances: Sequence[float] = TOLERANCES, whole: Formula | None = None
) -> list[Member]:
    """A crystal as its symmetry within each tolerance makes it, those of different signature."""
    members: dict[tuple, Member] = {}
    for tolerance in tolerances:
        try:
            member = Member.of(atoms, name, tolerance, whole)
        except CrystalNetError:
            continue  # no symmetry is found within it
        members.setdefault(member.signature, member)
    return list(members.values())


def _clustered(members: Sequence[Member]) -> list[Cluster]:
    """Clusters of members of one `signature`; what first stood alone is tried again."""
    clusters = _joined(members, [])
    close = [cluster for cluster in clusters if len(cluster) > 1]
    alone = [cluster.first for cluster in clusters if len(cluster) == 1]
    return _joined(alone, close) if close else clusters


def _joined(members: Sequence[Member], clusters: list[Cluster]) -> list[Cluster]:
    for member in members:
        if (found := _best_cluster(member, clusters)) is None:
            clusters.append(Cluster(member))
        else:
            found[0].add(member, found[1])
    return clusters


def _best_cluster(member: Member, clusters: Sequence[Cluster]) -> tuple[Cluster, Match] | None:
    """The cluster whose mean a member lies nearest to, of those that it lies upon."""
    if not clusters:
        return None
    shapes = np.stack([cluster.shape for cluster in clusters])
    near = (np.abs(member.shapes[:, None] - shapes) < 1).all(2).any(0)
    best, least = None, np.inf
    for place in np.flatnonzero(near):
        cluster = clusters[place]
        if (found := cluster.matched(member)) is not None and (off := cluster.off(found)) < least:
            best, least = (cluster, found), off
    return best
