"""What a pattern says of a map's Fourier coefficients: the sharpened power of every group of reflections.

Coefficients are sharpened to those of points, over the sum of all atoms' f(s)^2, and damped a little.

>>> cell, counts = 5.64 * np.eye(3), {"Na": 4, "Cl": 4}
>>> corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
>>> nacl = Atoms(cell, np.concatenate([corners, corners + 0.5]), np.repeat(["Na", "Cl"], 4))
>>> shape = grid(cell, d_min=1.0)
>>> known = measured(Observed.of_structure(nacl), cell, counts, shape, d_min=1.0)
>>> shape, round(float(known.power[~known.bound].sum()), 3)
((12, 12, 12), 1.0)
>>> calculated(nacl, known, counts).shape == known.group.shape
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import next_fast_len

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed, lp_factor
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import form_factor
from crystalnet.solving.groups import Operations, nearest_peak

D_MIN = 0.5  # Å, our choice: atoms are points there, and a cell of 30 atoms is 36 voxels long
REST = 1e-20  # keeps a group without power from a division by zero
DAMPING = 1.5  # Å^2, our choice: exp(-DAMPING s^2) leaves no ripples of the cut at D_MIN


class Amplitudes(NamedTuple):
    """What is known of a map's coefficients, in the half grid of a real FFT, laid flat (M,).

    s: (M,) sin(theta) / lambda, 1/Å.
    group: the coefficient's place in `power`; 0 for those beyond D_MIN, the last for those not measured.
    weight: 2 where the half grid leaves the Friedel mate out, else 1.
    power: (K,) the sum over a group. bound: (K,) whether the sum may be smaller.
    """

    shape: tuple[int, int, int]
    s: np.ndarray
    group: torch.Tensor
    weight: torch.Tensor
    power: torch.Tensor
    bound: torch.Tensor


def measured(
    observed: Observed,
    lattice: np.ndarray,
    counts: Mapping[str, int],
    shape: tuple[int, int, int],
    d_min: float = D_MIN,
) -> Amplitudes:
    """Each reflection's group: the nearest peak, or, where none is near, its own ring, which was too weak.

    Raises:
        CrystalNetError: no peak is a reflection of the lattice.
    """
    axes = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [np.arange(shape[2] // 2 + 1.0)]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    s = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1) / 2
    inside = (s > 0) & (s <= 0.5 / d_min) & (2 * np.abs(hkl) < shape).all(1)
    peak, near = nearest_peak(observed, s)
    seen = inside & near
    if not seen.any():
        raise CrystalNetError(
            "No peak is a reflection of the lattice. Check lattice and wavelength.", Code.NO_CELL
        )
    hidden = inside & ~seen & (s >= observed.low) & (s <= observed.high)
    group = np.where(inside | (s == 0), -1, 0)
    peaks, of_peak = np.unique(peak[seen], return_inverse=True)
    rings, of_ring = np.unique(np.round(s[hidden], 6), return_inverse=True)
    group[seen], group[hidden] = 1 + of_peak, 1 + len(peaks) + of_ring
    n_groups = 2 + len(peaks) + len(rings)
    group[group < 0] = n_groups - 1

    at = np.concatenate([observed.s[peaks], rings])
    lp = lp_factor(observed.s, observed.wavelength)
    weak = observed.weakest * (observed.intensity * lp).max() / lp_factor(rings, observed.wavelength)
    power = np.concatenate([observed.intensity[peaks], weak])
    power *= np.exp(-2 * DAMPING * at**2) / _scattering(counts, at)
    power /= power[: len(peaks)].sum()
    weight = np.where((hkl[:, 2] == 0) | (2 * hkl[:, 2] == shape[2]), 1, 2)
    bound = np.arange(n_groups) > len(peaks)
    return Amplitudes(
        tuple(shape), s, torch.from_numpy(group), torch.from_numpy(weight).float(),
        torch.from_numpy(np.concatenate([[0], power, [np.inf]])).float(), torch.from_numpy(bound),
    )  # fmt: skip


def calculated(atoms: Atoms, known: Amplitudes, counts: Mapping[str, int]) -> torch.Tensor:
    """Sharpened coefficients (M,) of atoms, with the share of the measured power that they scatter."""
    series = torch.zeros(known.shape[0], known.shape[1], known.shape[2] // 2 + 1, dtype=torch.complex64)
    inside = ((known.group > 0) & torch.from_numpy(known.s > 0)).view(series.shape)
    axes = [np.fft.fftfreq(n, 1 / n) for n in known.shape[:2]] + [np.arange(known.shape[2] // 2 + 1.0)]
    s, which = np.unique(np.round(known.s, 6), return_inverse=True)
    height = np.exp(-DAMPING * s**2) / np.sqrt(_scattering(counts, s))
    for symbol in set(atoms.symbols.tolist()):
        coords = atoms.frac_coords[atoms.symbols == symbol]
        h, k, l = (  # noqa: E741
            torch.from_numpy(np.exp(-2j * np.pi * np.outer(axis, x))).to(series.dtype)
            for axis, x in zip(axes, coords.T, strict=True)
        )
        f = torch.from_numpy((_form_factor(symbol, s) * height)[which]).float().view(series.shape)
        series += f * (h @ (k[:, None] * l).flatten(0, 1).T).view(series.shape)
    series = torch.where(inside, series, 0).flatten()
    power = float(((series.real**2 + series.imag**2) * known.weight).sum())
    scattered = sum(_form_factor(x, np.zeros(1))[0] ** 2 for x in atoms.symbols.tolist())
    share = scattered / _scattering(counts, np.zeros(1))[0]
    return series * (float(known.power[~known.bound].sum()) * share / max(power, REST)) ** 0.5


def _form_factor(symbol: str, s: np.ndarray) -> np.ndarray:
    atom, s_squared = form_factor(symbol), s[:, None] ** 2
    f = atom.z - 41.78214 * s**2 * (atom.a * np.exp(-atom.b * s_squared)).sum(1)
    return np.maximum(f, 0.05)  # electrons: the table's fits cross zero at high angles


def _scattering(counts: Mapping[str, int], s: np.ndarray) -> np.ndarray:
    return sum(number * _form_factor(symbol, s) ** 2 for symbol, number in counts.items())


def grid(
    lattice: np.ndarray, groups: Sequence[Operations | None] = (None,), d_min: float = D_MIN
) -> tuple[int, int, int]:
    """Voxels an axis: enough for d_min, and such that every operation maps points onto points."""
    n = 2 * np.floor(np.linalg.norm(lattice, axis=1) / d_min).astype(int) + 2
    step = 2
    for group in groups:
        if group is not None:
            mixed = np.abs(group.rotations).sum(0) > 0
            n = np.array([n[mixed[i] | mixed[:, i] | (np.arange(3) == i)].max() for i in range(3)])
            fractions = np.round(24 * group.translations).astype(int)  # of the cell, multiples of 1/24
            step = np.lcm(step, 24 // np.gcd.reduce([24, *fractions.ravel()]))
    n = -(-n // step)
    return tuple(int(step * next_fast_len(int(k))) for k in n)
