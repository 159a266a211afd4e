"""One crystal under one challenge: a row that says what was found, and whether it is right."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystalnet.data.crystals import Crystal
from crystalnet.errors import CrystalNetError
from crystalnet.lattice.alignment import indexed
from crystalnet.model.network import DensityNetwork
from crystalnet.scoring.challenges import Challenge, another, known, observation, remaining
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.frames import Frames
from crystalnet.solving.ranking import FACTS, facts, structure_of
from crystalnet.solving.sources import chosen, found, propose
from crystalnet.solving.templates import FAMILIES

TIGHT = {"ltol": 0.05, "stol": 0.1, "angle_tol": 2}  # our choice, beside StructureMatcher's defaults


def solved(
    crystal: Crystal,
    challenge: Challenge,
    catalogue: Catalogue,
    networks: Mapping[str, DensityNetwork] | None = None,
    seconds: float = 25.0,
) -> dict:
    """One crystal, one row: what was found, and whether it is right.

    Args:
        networks: family to the network that takes the place of the package's, whose training saw the
            structure types that are withheld.
        seconds: for each source.

    Returns:
        material_id, formula, space_group, atoms, top_1, top_5, top_20 (StructureMatcher's defaults), tight_1,
        rms_1 (its root mean square displacement, nan if not right), what `ranking.facts` says of the first
        answer (nan without one), origin, found_group, seconds, outcome ('answer', 'no cell', 'no peaks', 'no
        candidate').

    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> from crystalnet.scoring.challenges import challenge_of
    >>> crystals = prototype_crystals("cubic", 10)
    >>> row = solved(crystals[1], challenge_of("exact"), Catalogue(crystals, progress=False))
    >>> row["outcome"], row["top_1"]
    ('answer', 1)
    """
    row = {
        "material_id": crystal.material_id,
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "atoms": len(crystal.atoms.symbols),
        **dict.fromkeys(("top_1", "top_5", "top_20", "tight_1"), 0),
        **dict.fromkeys(("rms_1", *FACTS), np.nan),
        "origin": "",
        "found_group": 0,
    }
    started = time.perf_counter()
    ranked, outcome = _ranked(crystal, challenge, catalogue, networks, seconds)
    row |= {"seconds": round(time.perf_counter() - started, 2), "outcome": outcome}
    if not ranked:
        return row
    truth, matcher = crystal.structure, StructureMatcher()
    right = [
        not challenge.impostor and matcher.fit(truth, structure_of(one.trial.atoms)) for one in ranked[:20]
    ]
    first = structure_of(ranked[0].trial.atoms)
    row |= {
        "top_1": int(right[0]),
        "top_5": int(any(right[:5])),
        "top_20": int(any(right)),
        "tight_1": int(right[0] and StructureMatcher(**TIGHT).fit(truth, first)),
        "rms_1": matcher.get_rms_dist(truth, first)[0] if right[0] else np.nan,
        **facts(ranked),
        "origin": ranked[0].origin,
        "found_group": ranked[0].trial.template.space_group,
    }
    return row


def _ranked(crystal, challenge, catalogue, networks, seconds):
    other = another(crystal, challenge, catalogue)
    try:
        observed = observation(crystal, challenge, other)
    except CrystalNetError:
        return [], "no peaks"
    try:
        observed, cells = indexed(observed, FAMILIES[crystal.crystal_system])
    except CrystalNetError:
        return [], "no cell"
    told = other if challenge.impostor == "formula" else crystal
    knowledge = known(told, challenge.composition)
    catalogue = remaining(crystal, challenge.withheld, catalogue)
    frames, candidates = Frames(observed), []
    network = (networks or {}).get(cells[0].family)
    for source in challenge.sources:
        if found(candidates, frames):
            break
        candidates += propose(
            source,
            frames,
            knowledge,
            cells,
            catalogue,
            crystal_system=crystal.crystal_system,
            seconds=seconds,
            network=network,
        )
    ranked = chosen(candidates, frames)
    return ranked, "answer" if ranked else "no candidate"
