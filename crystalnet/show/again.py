"""The networks of the package answer once more for the crystals of a record's gallery."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Composition

from crystalnet.data.crystals import composition_vector
from crystalnet.model import library, networks
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.runs.records import Record
from crystalnet.runs.run import PREDICTORS
from crystalnet.scoring.protocols import honest_score


def kept_network(record: Record) -> DensityNetwork | None:
    """The package's network of a record's name, if it is of the record's kind and size."""
    if record.gallery is None or record.network not in library.available():
        return None
    network = library.load(record.network)
    made = networks.build(record.manifest["history.csv"]["model"])  # an older record lacks later settings
    return network if network.settings == made.settings else None


def asked(record: Record, network: DensityNetwork) -> Iterator[tuple[pd.Series, np.ndarray, np.ndarray]]:
    """Of each crystal of the gallery: its published scores, and what the network is told of it, the view of
    its pattern and its composition."""
    scores = record.scores[record.scores["predictor"] == PREDICTORS[0]].set_index("row")
    views = record.gallery["profile" if network.reads == "profiles" else "pattern"]
    for row, view in zip(record.gallery["row"], views, strict=True):
        yield scores.loc[row], view, composition_vector(Composition(scores.loc[row, "formula"]))


def answered_again(record: Record, network: DensityNetwork) -> pd.DataFrame:
    """Published and recomputed scores of the gallery's crystals, as text."""
    names, rows, pictures = [], [], record.gallery
    for k, (published, view, composition) in enumerate(asked(record, network)):
        truth = torch.from_numpy(pictures["truth"][k].astype(np.float32))
        answer = network.answer(view, composition, truth.shape[-1])
        now = honest_score(truth, answer, lattice_operations(pictures["lattice"][k]))
        scores = {
            (f"{score.upper()}, honest", when): f"{numbers[f'honest_{score}']:.{digits}f}"
            for score, digits in (("ssim", 3), ("psnr", 2))
            for when, numbers in (("published", published), ("now", now))
        }
        names.append((record.network, published["formula"]))
        rows.append(scores)
    table = pd.DataFrame(rows, pd.MultiIndex.from_tuples(names, names=["network", "formula"]))
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def expected_again(record: Record, network: DensityNetwork, enough: float) -> pd.DataFrame:
    """What a network expects of its answers to the gallery's crystals, and what they are worth, as text.

    Args:
        enough: the expected SSIM that an answer needs to be a confident one.
    """
    rows = []
    for published, view, composition in asked(record, network):
        expected = network.expected_similarity(view, composition)
        rows.append(
            {
                "system": record.system,
                "formula": published["formula"],
                "expected SSIM": f"{expected:.3f}",
                "true SSIM": f"{published['honest_ssim']:.3f}",
                "": "" if expected >= enough else "no confident answer",
            }
        )
    return pd.DataFrame(rows).set_index(["system", "formula"])
