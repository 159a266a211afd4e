"""Types of other formulas: those in which two of the sample's elements share a role.

Silicates, borates and sulphosalts fill the sites of one role with two elements: Na2LiFe(Si2O5)3 is of
the type of Na3Y(Si2O5)3, lithium on some of the sodium sites. So two like elements are counted as one, types
of that shorter formula are asked for, and whole sites of the shared role are given to the rarer of the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from crystalnet.data.chemistry import unlikeness
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.templates import Template

LIKE = 3.0  # unlikeness up to which two elements may share a role, our choice: boron and silicon
MOST_SITES = 12  # of a shared role, our choice: more are too many ways to part them
MOST_WAYS = 6  # to part a role's sites between two elements, our choice


class Filled(NamedTuple):
    """A template, the elements of its atoms, how unlike its own they are, and how many atoms of hydrogen are
    not among them."""

    unlike: float
    template: Template
    symbols: tuple[str, ...]
    n_absent: int = 0


def sharing(knowledge: Knowledge, catalogue: Catalogue, family: str | None = None) -> Iterator[Filled]:
    """Templates of formulas in which two elements of the sample are one, their sites parted between the two.

    >>> from crystalnet.solving.sources import embedded
    >>> one = min(sharing(Knowledge.of("Na2LiFeSi6O15"), embedded()), key=lambda one: one.unlike)
    >>> one.template.space_group, sorted(set(one.symbols))
    (64, ['Fe', 'Li', 'Na', 'O', 'Si'])
    """
    if not knowledge.is_complete:
        return
    formula = knowledge.formula
    for rarer, other in combinations(sorted(formula, key=lambda symbol: (formula[symbol], symbol)), 2):
        if unlikeness(rarer, other) > LIKE:
            continue
        merged = {symbol: n for symbol, n in formula.items() if symbol != rarer}
        merged[other] += formula[rarer]
        divisor = math.gcd(*merged.values())
        asked = Knowledge(tuple(merged), tuple(n // divisor for n in merged.values()))
        for template in catalogue.templates(asked, family):
            units, rest = divmod(len(template.symbols), sum(formula.values()))
            if rest:
                continue
            unlike, roles = asked.fillings(template)[0]
            symbols = np.array([roles[old] for old in template.symbols.tolist()])
            for sites in parted(template, symbols == other, formula[rarer] * units):
                changed = np.where(np.isin(template.sites, sites), rarer, symbols)
                yield Filled(unlike + unlikeness(rarer, other), template, tuple(changed.tolist()))


def parted(template: Template, shared: np.ndarray, n: int) -> list[tuple[int, ...]]:
    """Ways to choose whole sites of `shared` atoms (A,) that hold `n` atoms, the fewest sites first.

    >>> from crystalnet.physics.atoms import Atoms
    >>> places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    >>> gold = Template.of(Atoms(4 * np.eye(3), places, np.array(["Cu", "Au", "Au", "Au"])))
    >>> parted(gold, gold.symbols == "Au", 1)  # one site of three atoms
    []
    """
    sites, sizes = np.unique(template.sites[shared], return_counts=True)
    if len(sites) > MOST_SITES:
        return []
    size = dict(zip(sites.tolist(), sizes.tolist(), strict=True))
    ways = (
        some
        for k in range(1, len(size))
        for some in combinations(size, k)
        if sum(size[site] for site in some) == n
    )
    return [some for some, _ in zip(ways, range(MOST_WAYS), strict=False)]
