"""How much of the composition is known: the four levels of the paper's ablation (Table 2).

>>> from crystalnet.data.crystals import composition_vector
>>> from pymatgen.core import Composition
>>> titanate = composition_vector(Composition("SrTiO3"))
>>> known_composition(titanate[None], ["mp-5229"], "no_ratios")[0, [7, 21, 37]].round(3)  # O, Ti, Sr
array([0.333, 0.333, 0.333], dtype=float32)
>>> partly_known(titanate, ["Ti", "O"])[[7, 21]]
array([0.75, 0.25], dtype=float32)
>>> known_level(titanate, ["Ti", "O"], ratios=False)
'drop_element'
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.tables import SYMBOLS

LEVELS = ("baseline", "no_ratios", "drop_element", "no_formula")
"""Full fractions; elements without ratios; one element hidden as well; pattern only."""


def known_composition(
    compositions: np.ndarray, material_ids: list[str], level: str, seed: int = 0
) -> np.ndarray:
    """What a network may see of each composition at a level, (N, 118) float32.

    'no_ratios' puts equal fractions on the elements present. 'drop_element' hides one of them as well, never
    the last: which one depends on the seed and the material alone, on training and test crystals alike, as
    in the released code. 'no_formula' leaves the vector untouched, since its network has no encoder for it.

    Args:
        compositions: (N, 118) atomic fractions.
        material_ids: (N,) names.

    Raises:
        CrystalNetError: an unknown level.
    """
    if level not in LEVELS:
        raise CrystalNetError(
            f"Unknown composition level {level!r}. Choose one of {', '.join(LEVELS)}.", Code.BAD_ARGUMENT
        )
    if level in ("baseline", "no_formula"):
        return compositions
    known = compositions > 0
    if level == "drop_element":
        for row, material_id in zip(known, material_ids, strict=True):
            present = np.flatnonzero(row)
            if len(present) > 1:
                digest = hashlib.sha256(f"{seed}/{material_id}".encode()).digest()
                row[present[int.from_bytes(digest[:8]) % len(present)]] = False
    n_known = np.maximum(known.sum(1, keepdims=True), 1)  # a crystal that could not be computed has none
    return (known / n_known).astype(np.float32)


def partly_known(composition: np.ndarray, elements: Iterable[str], ratios: bool = True) -> np.ndarray:
    """What is left of one composition (118,) if only these elements are known, in float32.

    Fractions of the known elements add up to 1, equal ones without ratios; zeros if no element is known.
    """
    known = composition * np.isin(SYMBOLS, list(elements))
    if not ratios:
        known = known > 0
    return (known / max(known.sum(), np.finfo(np.float32).tiny)).astype(np.float32)


def known_level(composition: np.ndarray, elements: Iterable[str], ratios: bool = True) -> str | None:
    """The level of Table 2 at which these of a composition's elements are known; None if there is none."""
    n_known = np.count_nonzero(partly_known(composition, elements))
    n_hidden = np.count_nonzero(composition) - n_known
    if not n_known:
        return "no_formula"
    if ratios:
        return None if n_hidden else "baseline"
    return {0: "no_ratios", 1: "drop_element"}.get(n_hidden)
