"""Test crystals that readers explore in the built pages: few enough to travel with them, chosen by a rule.

>>> scores = pd.DataFrame({"predictor": PREDICTORS[0], "honest_ssim": [0.2, 0.9, 0.5, 0.7]})
>>> chosen(scores, most=3)["honest_ssim"].tolist()
[0.9, 0.5, 0.2]
>>> read_showcase()["profile"].shape
(16, 768)
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from crystalnet.data.blocks import compute_block
from crystalnet.data.crystals import composition_vector
from crystalnet.errors import Code, CrystalNetError, writing
from crystalnet.model import library
from crystalnet.model.network import COARSE
from crystalnet.physics.similarity import align
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.runs.params import repository_root
from crystalnet.runs.records import REMEDY, Record
from crystalnet.runs.run import PREDICTORS, Run

NETWORK = "cubic-spectral"  # of the library, which the explorer runs
RECORD = "spectral_cubic/cubic"  # of book/results, whose crystals it shows
FILE = "explorer.npz"  # beside the tables of a record
SHOWN = 16  # crystals, our choice: 0.2 MB
ARRAYS = (
    *("material_id", "formula", "space_group", "honest_ssim"),
    *("lattice", "composition", "profile", "truth"),
)


def chosen(scores: pd.DataFrame, most: int = SHOWN) -> pd.DataFrame:
    """The test crystals at evenly spaced quantiles of the network's honest SSIM, worst and best included.

    Args:
        scores: of a `Record`.

    Returns:
        Rows of `scores`, the best first.
    """
    ranked = scores[scores["predictor"] == PREDICTORS[0]].sort_values(
        "honest_ssim", ascending=False, kind="stable"
    )
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int)
    return ranked.iloc[places]


def write_showcase(run: Run, record: Record, folder: str | Path) -> Path:
    """Compute a record's chosen crystals as its data set was, and keep them as `FILE` in a folder.

    The arrays `ARRAYS`, one entry a crystal: names, space group and honest SSIM as in the scores; lattice
    (3, 3) rows in Å, composition (118,), profile (768,), and truth (25, 25, 25) float16, e/Å^3, laid onto
    the answer of the package's network as the honest protocol does it, so that both can be compared by eye.

    Args:
        run: of the profile that made the record; only its source of crystals is read.

    Raises:
        CrystalNetError: the package has no weights of the record's network, the source lacks a crystal, or
            one cannot be computed; an error of the run.
    """
    network, system = library.load(record.network), record.system
    table, data = chosen(record.scores), run.params.data
    known = {crystal.material_id: crystal for crystal in run.cleaned(system).crystals}
    if missing := [name for name in table["material_id"] if name not in known]:
        raise CrystalNetError(
            f"{data.source} lacks {', '.join(missing)}. Take the source of the scores.", Code.OTHER_SETTINGS
        )
    crystals = [known[name] for name in table["material_id"]]
    computed = compute_block(crystals, data.n_grid, data.density, data.chgcar_method)
    if reasons := [reason for *_, reason in computed if reason]:
        raise CrystalNetError(
            f"A crystal of the explorer could not be computed: {reasons[0]}", Code.BAD_STRUCTURE
        )
    _, profiles, truths, _ = zip(*computed, strict=True)
    compositions = np.array([composition_vector(crystal.atoms) for crystal in crystals])
    lattices = np.array([crystal.atoms.lattice for crystal in crystals])
    laid = []
    for profile, composition, truth, lattice in zip(profiles, compositions, truths, lattices, strict=True):
        answer = network.answer(profile, composition, data.n_grid)
        truth = torch.from_numpy(truth.astype(np.float32))
        laid.append(align(answer, truth, lattice_operations(lattice)).aligned.numpy().astype(np.float16))
    stride = max(1, data.n_grid // COARSE)
    arrays = {
        "material_id": table["material_id"].to_numpy("U"),
        "formula": table["formula"].to_numpy("U"),
        "space_group": table["space_group"].to_numpy("i4"),
        "honest_ssim": table["honest_ssim"].to_numpy("f4"),
        "lattice": lattices,
        "composition": compositions,
        "profile": np.array(profiles),
        "truth": np.array(laid)[:, ::stride, ::stride, ::stride],
    }
    path = Path(folder) / FILE
    part = path.with_name(f"{path.stem}.part.npz")  # savez adds the ending that a name lacks
    with writing(path):
        np.savez_compressed(part, **arrays)
        os.replace(part, path)
    return path


def read_showcase(folder: str | Path | None = None) -> dict[str, np.ndarray]:
    """What `write_showcase` kept, by default in `RECORD`: (k, ...) each, the best crystal first.

    Raises:
        CrystalNetError: there is no such file, or it is damaged.
    """
    path = Path(folder or repository_root() / "book" / "results" / RECORD) / FILE
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ARRAYS}
    except Exception as error:  # a damaged archive fails in a dozen ways
        raise CrystalNetError(f"{path} is missing or damaged ({error}). {REMEDY}", Code.DAMAGED) from None
