r"""The Cartesian mapped electron density (CMED): valence density in e/Å^3 on an n x n x n grid of fractional
coordinates i / n of the primitive cell (paper, Methods, 'Charge Density').

The promolecule superposes spherical atoms; calculated densities come from files (`data.densities`). Given a
lattice, a CMED maps back to real space without loss: the value stays, the point moves.

>>> from crystalnet.physics.atoms import Atoms
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> cmed = promolecule_cmed(nacl, n=8)
>>> round(n_electrons(cmed, nacl.lattice), 6)  # 7 of Na's, with its 2p shell, and 7 of Cl
14.0
>>> places, rho = density_in_cell(cmed, nacl.lattice)
>>> np.allclose(density_at(cmed, nacl.lattice, places), rho)
True
>>> promolecule_cmeds([nacl, nacl], n=8).shape
torch.Size([2, 8, 8, 8])
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import permutations, product

import numpy as np
import torch
from numpy.typing import ArrayLike

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import AtomsLike
from crystalnet.physics.scattering import Sites, chunks, phase_sums, sites_by_element, slots
from crystalnet.physics.tables import valence

GRID = 50  # the paper's voxels an axis
BOHR = 0.529177210903  # Å, CODATA 2018

_N_GAUSSIANS = 10  # the most that the table of valence densities gives an atom
_SAME = {torch.float32: 1e-6, torch.float64: 1e-12}  # relative, our choice: |G|^2 nearer than this are equal

# ways to exchange the axes and turn some of them round, (24, 3, 3); not all of them, since |G| = |-G|
_TURNS = np.array(
    [np.eye(3)[list(p)] * (1, s, t) for p in permutations(range(3)) for s, t in product((1, -1), repeat=2)]
)


def promolecule_cmed(structure: AtomsLike, n: int = GRID) -> np.ndarray:
    """One crystal's superposed atoms, (n, n, n) float64: see `promolecule_cmeds`."""
    return promolecule_cmeds([structure], n)[0].numpy()


def promolecule_cmeds(
    structures: Sequence[AtomsLike],
    n: int = GRID,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    r"""Superposed spherical valence densities of the free atoms, for many crystals at once.

        rho(x) = 1/V \sum_G \sum_j f_j(|G|) exp(2 pi i G . (x - x_j)),    |G_i| < n / 2

    The Fourier series of the crystal, cut where the grid ends, so that the mean times the volume is the
    electron count exactly. At the paper's grid the cut is far out: NaCl keeps its symmetry to 1e-7 of
    its maximum; coarse grids keep less. Sharp atoms in large cells may leave slightly negative ripples, as
    on any truncated grid, VASP's included.

    Args:
        structures: ordered pymatgen Structures, or Atoms.
        n: voxels an axis.
        device: where to compute and leave them; the CPU unless given.
        dtype: torch.float64, or torch.float32 for half the time and 1e-5 of the maximum.

    Returns:
        (B, n, n, n) of the dtype, e/Å^3.

    Raises:
        CrystalNetError: a disordered or empty structure, or an element outside H-Pu; the message counts out
            the crystal. Or another dtype.
    """
    if dtype not in _SAME:
        raise CrystalNetError(
            f"Densities are not computed in {dtype}. Pass torch.float32 or torch.float64.", Code.BAD_ARGUMENT
        )
    device = torch.device(device or "cpu")
    crystals = sites_by_element(structures, _gaussians)
    lattices = np.array([crystal.lattice for crystal in crystals]).reshape(-1, 3, 3)
    reciprocal = 2 * np.pi * BOHR * np.linalg.inv(lattices).mT  # 1/Bohr, rows
    cmeds = torch.empty(len(crystals), n, n, n, dtype=dtype, device=device)
    for turns, alike in _by_symmetry(reciprocal, _SAME[dtype]).items():
        boxes = np.full((len(alike), 3), (n, n, n // 2 + 1))
        for members in chunks([crystals[i] for i in alike], boxes, device):
            rows = [alike[i] for i in members]
            q_squared, which = _distinct_q_squared(reciprocal[rows], n, turns, device, dtype)
            coefficients = _coefficients([crystals[i] for i in rows], q_squared, which, n)
            cmeds[rows] = torch.fft.irfftn(coefficients, s=(n, n, n), dim=(1, 2, 3), norm="forward")
    return cmeds


def _coefficients(
    crystals: list[Sites], q_squared: torch.Tensor, which: torch.Tensor, n: int
) -> torch.Tensor:
    """1/V sum_j f_j(|G|) exp(-2 pi i G . x_j), complex, (b, n, n, n // 2 + 1): half of them are enough.

    Args:
        crystals: sorted as `slots` needs them.
        q_squared: (b, D) the distinct |G|^2 of each crystal, 1/Bohr^2.
        which: (b, N) for each G of the half grid, the place of its |G|^2 in all of `q_squared` laid flat.
        n: voxels an axis.
    """
    device, dtype, axes = q_squared.device, q_squared.dtype.to_complex(), _axes(n)
    coefficients = torch.zeros(len(crystals), *map(len, axes), dtype=dtype, device=device)
    volumes = np.abs(np.linalg.det([crystal.lattice for crystal in crystals]))[:, None]
    for slot in slots(crystals):
        b = len(slot.entries)
        electrons, rates = slot.entries[..., slot.entries.any((0, 1))].swapaxes(0, 1)  # (b, Gaussians)
        weights, rates = (
            torch.from_numpy(x).to(dtype.to_real()).to(device) for x in (electrons / volumes[:b], rates)
        )
        gaussians = (rates[..., None] * q_squared[:b, None]).exp2_()
        f = (weights[:, None] @ gaussians).to(dtype).view(-1).index_select(0, which[:b].view(-1))
        phases = phase_sums(slot, axes, device, dtype)
        coefficients[:b].addcmul_(phases, f.view(phases.shape))
    if n % 2 == 0:  # the Nyquist planes hold one of each +-n/2 pair only: leaving them out keeps the symmetry
        coefficients[:, n // 2], coefficients[:, :, n // 2], coefficients[..., n // 2] = 0, 0, 0
    return coefficients


def _distinct_q_squared(
    reciprocal: np.ndarray, n: int, turns: bytes, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """`q_squared` and `which` of `_coefficients`, for crystals with the same `turns`."""
    distinct, which = map(torch.from_numpy, _distinct(n, turns))
    reciprocal, distinct = (x.to(dtype).to(device) for x in (torch.from_numpy(reciprocal), distinct))
    q = reciprocal.mT @ distinct.T  # (b, 3, D)
    starts = torch.arange(len(reciprocal), device=device)[:, None] * len(distinct)
    return q.square_().sum(1), which.to(device) + starts


def _axes(n: int) -> list[np.ndarray]:
    """Indices of G along each axis, negated: their phases are those of -G."""
    return [-np.fft.fftfreq(n, 1 / n), -np.fft.fftfreq(n, 1 / n), -np.arange(n // 2 + 1.0)]


def _by_symmetry(reciprocal: np.ndarray, same: float) -> dict[bytes, list[int]]:
    """Crystals (their positions) by the turns of the axes that leave every |G| of theirs what it is.

    The Gaussians cost most. With them taken once for all equal |G|, a cubic crystal needs some 1/24 of them.
    """
    metric = reciprocal @ reciprocal.mT
    turned = _TURNS.mT @ metric[:, None] @ _TURNS  # (B, 24, 3, 3)
    off = np.abs(turned - metric[:, None]).max((2, 3)) / np.abs(metric).max((1, 2))[:, None]
    groups: dict[bytes, list[int]] = {}
    for i, leaves in enumerate(off <= same):
        groups.setdefault(leaves.tobytes(), []).append(i)
    return groups


@lru_cache(maxsize=32)
def _distinct(n: int, turns: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Indices (D, 3) of which no two have the same |G| by symmetry, and for each G of the half grid, laid
    flat, the one of these that has its |G|."""
    hkl = np.stack(np.meshgrid(*_axes(n), indexing="ij"), -1).reshape(-1, 3)
    key = np.zeros(len(hkl))
    for turn in _TURNS[np.frombuffer(turns, bool)]:  # of all G that a turn makes equal, the largest key
        key = np.maximum(key, np.abs(hkl @ turn.T @ ((n + 1) ** 2, n + 1, 1)))
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return hkl[first], which


@cache
def _gaussians(symbol: str) -> np.ndarray:
    """An element's valence density in reciprocal space, (2, _N_GAUSSIANS): the electrons in each Gaussian and
    the rates (Bohr^2) in f(q) = sum_k electrons_k 2^(rate_k q^2). Powers of 2 are faster than those of e."""
    atom = valence(symbol)
    rows = np.zeros((2, _N_GAUSSIANS))
    rows[0, : len(atom.exponents)] = atom.coefficients * (np.pi / atom.exponents) ** 1.5
    rows[1, : len(atom.exponents)] = -0.25 / atom.exponents / np.log(2)
    return rows


def n_electrons(cmed: np.ndarray, lattice: ArrayLike) -> float:
    """Integral of the density over the cell: mean (e/Å^3) times volume (Å^3)."""
    return float(np.mean(cmed)) * abs(float(np.linalg.det(np.asarray(lattice, float))))


def density_in_cell(cmed: np.ndarray, lattice: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The inverse mapping of the paper: voxel (i, j, k) sits at (i, j, k) / n @ lattice.

    Returns:
        cart_coords (n, n, n, 3) in Å and rho (n, n, n) in e/Å^3: the CMED's own values, undistorted.
    """
    axes = [np.arange(n) / n for n in cmed.shape]
    frac_coords = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return frac_coords @ np.asarray(lattice, float), np.asarray(cmed)


def density_at(cmed: np.ndarray, lattice: ArrayLike, cart_coords: np.ndarray) -> np.ndarray:
    """Density (e/Å^3) at Cartesian points (..., 3) in Å, in any cell, by periodic cubic splines."""
    from scipy.ndimage import map_coordinates

    frac_coords = np.asarray(cart_coords, float) @ np.linalg.inv(np.asarray(lattice, float))
    voxels = frac_coords.reshape(-1, 3).T * np.array(cmed.shape)[:, None]
    rho = map_coordinates(np.asarray(cmed, float), voxels, order=3, mode="grid-wrap")
    return rho.reshape(frac_coords.shape[:-1])
