"""How many crystals a file of structure types reaches, by the number of types that are kept.

>>> from crystalnet.solving.structure_types import FILE
>>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> found = ranks([("salts", "NaCl", salt)], TypeFile(FILE), progress=False)
>>> coverage(found, kept=[30])
    kind  crystals  kept  type  arrangement
0  salts         1    30   1.0          1.0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from crystalnet.physics.atoms import Atoms
from crystalnet.solving.clusters import members_of
from crystalnet.solving.members import Member, lies_upon
from crystalnet.solving.structure_types import TypeFile

KEPT = 10, 30, 100, 300, 1000, 3000, 10000, 30000  # most frequent types, our choice


def ranks(
    crystals: Iterable[tuple[str, str, Atoms]], types: TypeFile, fewest: int = 2, progress: bool = True
) -> pd.DataFrame:
    """Where among the types, the most frequent first, those stand that a crystal finds.

    Args:
        crystals: kind that it is counted with, name and atoms of each.
        fewest: compounds of the types that count.

    Returns:
        a row a crystal: kind; type, the rank of the first type of its formula, space group and sites;
        arrangement, that of the first one that it lies upon. NaN where there is none.
    """
    sizes = types.sizes
    sizes = np.sort(sizes[sizes >= fewest])
    onto = cache(lambda amounts: [Member(template) for template in types.templates(amounts)])
    found = []
    for kind, name, atoms in tqdm(crystals, "Coverage", unit=" crystals", disable=not progress):
        members = {member.signature: member for member in members_of(atoms, name)}
        amounts = next(iter(members))[0] if members else ()
        firsts = [np.nan, np.nan]
        for one in onto(amounts):  # the most frequent first
            member, n_compounds = members.get(one.signature), one.template.n_compounds
            if member is None or n_compounds < fewest:
                continue
            rank = 1 + len(sizes) - np.searchsorted(sizes, n_compounds, side="right")
            firsts[0] = np.fmin(firsts[0], rank)
            if lies_upon(member, one):
                firsts[1] = rank
                break
        found.append((kind, *firsts))
    return pd.DataFrame(found, columns=["kind", "type", "arrangement"])


def coverage(ranks: pd.DataFrame, kept: Sequence[int] = KEPT) -> pd.DataFrame:
    """Share of the crystals of each kind that the most frequent types reach: kind, crystals, kept, type,
    arrangement; see `ranks`."""
    rows = [
        {
            "kind": kind,
            "crystals": len(group),
            "kept": most,
            **{way: round(float((group[way] <= most).mean()), 4) for way in ("type", "arrangement")},
        }
        for kind, group in ranks.groupby("kind", sort=False)
        for most in kept
    ]
    return pd.DataFrame(rows)
