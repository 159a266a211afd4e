"""What is computed of a crystal, for a block of crystals at once: pattern, profile and CMED."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from crystalnet.data.crystals import Crystal
from crystalnet.data.densities import cmed_from_file
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import promolecule_cmeds
from crystalnet.physics.profiles import patterns_and_profiles

Density = Literal["promolecule", "dft", "available"]


def compute_block(crystals: list[Crystal], n: int, density: Density, chgcar_method: str) -> list[tuple]:
    """(pattern float32, profile float32, cmed float16, '') of each crystal, or (None, None, None, why not).

    On one thread: the order of summation, and with it the last bit, depends on their number.

    >>> from crystalnet.data.prototypes import library_crystals
    >>> one = list(library_crystals()[:1])
    >>> ((pattern, profile, cmed, why_not),) = compute_block(one, 14, "promolecule", "fourier")
    >>> pattern.shape, profile.shape, cmed.shape, why_not
    ((1024,), (768,), (14, 14, 14), '')
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _block(crystals, n, density, chgcar_method)
    finally:
        torch.set_num_threads(threads)


def _block(crystals: list[Crystal], n: int, density: Density, chgcar_method: str) -> list[tuple]:
    results: list[tuple] = [(None, None, None, "")] * len(crystals)
    cells: dict[int, tuple[Atoms, np.ndarray | None]] = {}
    for i, crystal in enumerate(crystals):
        try:
            cells[i] = crystal.symmetrized, _density_from_file(crystal, n, density, chgcar_method)
        except CrystalNetError as error:
            results[i] = None, None, None, str(error)
    patterns, profiles = patterns_and_profiles([cell for cell, _ in cells.values()])
    superposed = [i for i, (_, cmed) in cells.items() if cmed is None]
    cmeds = dict(
        zip(superposed, promolecule_cmeds([crystals[i].atoms for i in superposed], n).numpy(), strict=True)
    )
    computed = zip(cells.items(), patterns.numpy(), profiles.numpy(), strict=True)
    for (i, (_, from_file)), pattern, profile in computed:
        cmed = cmeds[i] if from_file is None else from_file
        if np.abs(cmed).max() > np.finfo(np.float16).max:
            reason = "the density has spikes above 65504 e/Å^3, as all-electron files do near the nuclei"
            results[i] = None, None, None, reason
        else:
            results[i] = pattern, profile, cmed.astype(np.float16), ""
    return results


def _density_from_file(crystal: Crystal, n: int, density: Density, chgcar_method: str) -> np.ndarray | None:
    if density == "promolecule" or (density == "available" and not crystal.density_file):
        return None
    if not crystal.density_file:
        raise CrystalNetError(
            "There is no density file. Set data.density to 'available' or 'promolecule'.", Code.BAD_SETTING
        )
    return cmed_from_file(crystal.density_file, n, chgcar_method)
