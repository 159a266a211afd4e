"""Elements that nobody named, told from the intensities.

A pattern tells how strongly the atoms of each role of a template scatter beside each other. Two roles can be
off together and still be in proportion, so that all unnamed roles are moved at once: first over a few
elements far apart in the periodic table, then from the best of these to nearer ones.

>>> from crystalnet.patterns.observed import Observed
>>> from crystalnet.physics.atoms import Atoms
>>> from crystalnet.solving.frames import Frames
>>> len(completions({"Na": None, "Cl": "Cl"})), completions({"Na": "K", "Cl": "Cl"})
(9, [{'Na': 'K', 'Cl': 'Cl'}])
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template = Template.of(nacl)
>>> frame = Frames(Observed.of_structure(nacl))(template, template.lattice, 0.9)
>>> named(frame, template, template.frac_coords, {"Na": None, "Cl": "Cl"}, {"Na": "K", "Cl": "Cl"})[0]
{'Na': 'Na', 'Cl': 'Cl'}
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import permutations, product

import numpy as np

from crystalnet.data.checks import supported_elements
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS
from crystalnet.solving.frames import Frame
from crystalnet.solving.templates import Template

NATURAL = tuple(symbol for symbol in SYMBOLS[:92] if symbol in supported_elements())
COARSE = 9, 9, 6, 5, 5  # elements that each of 1, 2, ... unnamed roles begins with, our choice
ENDS = 3, 83  # their atomic numbers, our choice: lithium to bismuth, of which most crystals are made
STARTS = 10  # fillings that the search goes on from, our choice
STEPS = 16, 8, 4, 2, 1  # in atomic numbers, our choice
PROPORTION = 1 / 60  # of a step: 16 are a quarter more or less, our choice
REPEATS = 8  # of each step, at most, our choice


def completions(filling: Mapping[str, str | None]) -> list[dict[str, str]]:
    """A filling with elements for the roles that nobody named, a constant factor in atomic number apart.

    None for more such roles than COARSE has: they would explain anything.
    """
    unnamed = [role for role, symbol in filling.items() if symbol is None]
    if not unnamed:
        return [dict(filling)]
    choices = _coarse(len(unnamed), frozenset(filling.values()) - {None})
    return [{**filling, **dict(zip(unnamed, choice, strict=True))} for choice in choices]


@cache
def _coarse(n_roles: int, without: frozenset[str]) -> list[tuple[str, ...]]:
    """All choices of different elements for so many roles, few for each."""
    if n_roles > len(COARSE):
        return []
    symbols = [symbol for symbol in NATURAL if symbol not in without]
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    levels = np.geomspace(*ENDS, COARSE[n_roles - 1])
    few = dict.fromkeys(symbols[int(np.abs(numbers - level).argmin())] for level in levels)
    return list(permutations(few, n_roles))


def named(
    frame: Frame,
    template: Template,
    frac_coords: np.ndarray,
    told: Mapping[str, str | None],
    begun: Mapping[str, str],
) -> tuple[dict[str, str], float]:
    """The filling whose pattern is nearest to the measured one, and its distance.

    A pattern search in atomic numbers, from several fillings at once, in steps that grow shorter.

    Args:
        frame: of the template in the measured cell.
        frac_coords: (A, 3) of the template's atoms.
        told: what the template's elements become; None for those to be found, at most as many as COARSE has.
        begun: a complete filling to begin with, beside the best of `completions`.
    """
    roles = [role for role, symbol in told.items() if symbol is None]
    others = [symbol for symbol in told.values() if symbol is not None]
    allowed = [symbol for symbol in NATURAL if symbol not in others]

    def distances(places: np.ndarray) -> np.ndarray:
        """Of many choices (K, R) of places among the allowed elements."""
        fillings = [{**told, **{r: allowed[k] for r, k in zip(roles, row, strict=True)}} for row in places]
        return frame.distances(fillings, template.symbols, frac_coords)

    some = [begun, *completions(told)]
    places = np.array([[allowed.index(one[role]) for role in roles] for one in some])
    away = distances(places)
    best = np.argsort(away, kind="stable")[:STARTS]
    places, away = places[best], away[best]
    moves = np.array([move for move in product((-1, 0, 1), repeat=len(roles)) if any(move)])
    for step in STEPS:
        for _ in range(REPEATS):
            tried = places[:, None] + step * moves
            if step > 1:  # and all in proportion, by the same factor
                factors = 1 + PROPORTION * step * np.array([[-1], [1]])
                scaled = np.round(places[:, None] * factors).astype(int)
                tried = np.concatenate([tried, scaled], 1)
            tried = tried.clip(0, len(allowed) - 1)
            now = distances(tried.reshape(-1, len(roles))).reshape(len(tried), -1)
            equal = (np.sort(tried, -1)[..., 1:] == np.sort(tried, -1)[..., :-1]).any(-1)
            now[equal] = np.inf  # one element in two roles would be a type of fewer elements
            found = now.argmin(1)
            better = now.min(1) < away
            places[better] = tried[better, found[better]]
            away[better] = now[better, found[better]]
            if not better.any():
                break
    first = int(away.argmin())
    symbols = [allowed[k] for k in places[first]]
    return {**told, **dict(zip(roles, symbols, strict=True))}, float(away[first])
