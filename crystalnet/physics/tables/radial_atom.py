"""The spherical Kohn-Sham atom: energy levels and densities of its shells.

The local density approximation, spin-restricted (Slater exchange, Perdew-Wang correlation: Phys. Rev. B 45,
13244 (1992)), scalar-relativistic by the zeroth-order regular approximation (ZORA; van Lenthe, Baerends,
Snijders: J. Chem. Phys. 99, 4597 (1993)). Hartree atomic units: Bohr, Hartree, e/Bohr^3.

>>> shells("[He] 2s1")
[Shell(n=1, ell=0, occupation=2.0), Shell(n=2, ell=0, occupation=1.0)]
>>> r, weights = radial_grid(1)
>>> energies, _ = orbitals(-1 / r, 0, gaussian_basis(1, 0, r, weights), r, weights, relativistic=False)
>>> energies[:2].round(3)  # hydrogen: -1/2, -1/8
array([-0.5  , -0.125])
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from scipy.optimize import anderson
from scipy.special import gammaln

SPEED_OF_LIGHT = 137.035999  # 1 / fine-structure constant (CODATA)
NOBLE_GASES = {"He": "1s2", "Ne": "[He] 2s2 2p6", "Ar": "[Ne] 3s2 3p6", "Kr": "[Ar] 3d10 4s2 4p6",
               "Xe": "[Kr] 4d10 5s2 5p6", "Rn": "[Xe] 4f14 5d10 6s2 6p6"}  # fmt: skip

GRID_POINTS, OUTER_RADIUS = 2400, 60.0  # Bohr; of the logarithmic grid, our choice
BASIS_RATIO, SMALLEST_EXPONENT = 1.9, 0.012  # even-tempered Gaussian basis, in 1/Bohr^2; our choice
OVERLAP_CUTOFF = 1e-9  # basis combinations with a smaller overlap eigenvalue are linearly dependent


class Shell(NamedTuple):
    """One electron shell: principal and angular quantum number, and its electrons (fractions allowed)."""

    n: int
    ell: int
    occupation: float


def shells(configuration: str) -> list[Shell]:
    """'[He] 2s2 2p4' -> its shells, the noble gas written out."""
    while "[" in configuration:
        configuration = re.sub(r"\[(\w+)\]", lambda gas: NOBLE_GASES[gas[1]], configuration)
    return [Shell(int(s[0]), "spdf".index(s[1]), float(s[2:])) for s in configuration.split()]


def radial_grid(z: float) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic grid r from 1e-6 / z to OUTER_RADIUS, and trapezoidal weights for integrals over dr."""
    x, step = np.linspace(np.log(1e-6 / z), np.log(OUTER_RADIUS), GRID_POINTS, retstep=True)
    r = np.exp(x)
    weights = step * r
    weights[[0, -1]] /= 2
    return r, weights


def gaussian_basis(z: float, ell: int, r: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal radial functions R(r) of angular momentum ell and their slopes R'(r), (n_basis, len(r))."""
    largest = (40 if ell == 0 else 8 / (1 + ell)) * z**2  # resolves the 1s cusp and the inner p, d, f lobes
    size = int(np.ceil(np.log(largest / SMALLEST_EXPONENT) / np.log(BASIS_RATIO))) + 1
    a = np.geomspace(SMALLEST_EXPONENT, largest, size)[:, None]
    norm = np.exp(0.5 * (np.log(2) + (ell + 1.5) * np.log(2 * a) - gammaln(ell + 1.5)))
    functions = norm * r**ell * np.exp(-a * r**2)
    slopes = functions * (ell / r - 2 * a * r)
    overlap, vectors = np.linalg.eigh((functions * weights * r**2) @ functions.T)
    kept = overlap > OVERLAP_CUTOFF
    orthonormal = (vectors[:, kept] / np.sqrt(overlap[kept])).T
    return orthonormal @ functions, orthonormal @ slopes


def orbitals(
    potential: np.ndarray,
    ell: int,
    basis: tuple[np.ndarray, np.ndarray],
    r: np.ndarray,
    weights: np.ndarray,
    *,
    relativistic: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (Hartree, ascending) and radial functions R of angular momentum ell in potential(r).

    The kinetic energy is p k p with k = c^2 / (2 c^2 - V) (ZORA), or k = 1/2 without relativity.
    """
    functions, slopes = basis
    k = SPEED_OF_LIGHT**2 / (2 * SPEED_OF_LIGHT**2 - potential) if relativistic else 0.5
    hamiltonian = (slopes * (weights * r**2 * k)) @ slopes.T
    hamiltonian += (functions * (weights * (ell * (ell + 1) * k + potential * r**2))) @ functions.T
    energies, vectors = np.linalg.eigh(hamiltonian)
    return energies, vectors.T @ functions


def hartree_potential(density: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Electrostatic potential of a spherical electron density (Hartree).

    >>> r, _ = radial_grid(1)
    >>> round(float(hartree_potential(np.exp(-2 * r) / np.pi, r)[0]), 3)  # hydrogen's, at the nucleus
    1.0
    """
    log_step = np.log(r[1] / r[0])

    def running_integral(f: np.ndarray) -> np.ndarray:
        return 4 * np.pi * log_step * np.concatenate([[0], np.cumsum((f[1:] + f[:-1]) / 2)])

    enclosed, shell = running_integral(density * r**3), running_integral(density * r**2)
    return enclosed / r + shell[-1] - shell


def exchange_correlation_potential(density: np.ndarray) -> np.ndarray:
    """LDA potential of the unpolarised gas: Slater exchange and Perdew-Wang 1992 correlation (Hartree).

    >>> exchange_correlation_potential(np.array([0.01, 0.1])).round(3)  # e/Bohr^3 to Hartree
    array([-0.256, -0.518])
    """
    rs = (3 / (4 * np.pi * np.maximum(density, 1e-30))) ** (1 / 3)
    exchange = -((9 / (4 * np.pi**2)) ** (1 / 3)) / rs
    a, a1, b1, b2, b3, b4 = 0.0310907, 0.21370, 7.5957, 3.5876, 1.6382, 0.49294  # their Table I, zeta = 0
    s = np.sqrt(rs)
    q = 2 * a * (b1 * s + b2 * rs + b3 * rs * s + b4 * rs**2)
    slope_q = a * (b1 / s + 2 * b2 + 3 * b3 * s + 4 * b4 * rs)
    log = np.log1p(1 / q)
    energy = -2 * a * (1 + a1 * rs) * log
    slope = -2 * a * a1 * log + 2 * a * (1 + a1 * rs) * slope_q / (q**2 + q)
    return exchange + energy - rs / 3 * slope


def solve_atom(
    z: float, occupied: list[Shell], relativistic: bool = True
) -> tuple[dict[Shell, float], dict[Shell, np.ndarray]]:
    """Energy (Hartree) and density (e/Bohr^3 on radial_grid(z)) of each shell of the converged atom.

    >>> energies, densities = solve_atom(2, shells("1s2"))
    >>> round(energies[Shell(1, 0, 2.0)], 3)  # Hartree; NIST's table of LDA atoms: -0.570
    -0.57
    >>> r, weights = radial_grid(2)
    >>> density = densities[Shell(1, 0, 2.0)]
    >>> round(float(weights @ (4 * np.pi * r**2 * density)), 6)  # electrons
    2.0
    """
    r, weights = radial_grid(z)
    bases = {ell: gaussian_basis(z, ell, r, weights) for ell in {shell.ell for shell in occupied}}
    energies, densities = {}, {}

    def residual(potential_times_r: np.ndarray) -> np.ndarray:
        potential = potential_times_r / r
        for ell, basis in bases.items():
            levels, functions = orbitals(potential, ell, basis, r, weights, relativistic=relativistic)
            for shell in (shell for shell in occupied if shell.ell == ell):
                energies[shell] = float(levels[shell.n - ell - 1])
                densities[shell] = shell.occupation * functions[shell.n - ell - 1] ** 2 / (4 * np.pi)
        density = sum(densities.values())
        out = -z / r + hartree_potential(density, r) + exchange_correlation_potential(density)
        return out * r - potential_times_r

    x = r * z ** (1 / 3) / 0.8853  # radius in Thomas-Fermi lengths: the start is a screened nucleus
    screened = 1 + (z - 1) / (1 + 0.6 * x**1.5 + 1.2 * x + 0.5 * x**2 + 1e-3 * x**4)
    anderson(residual, -screened, alpha=-0.3, M=6, f_tol=1e-8, maxiter=300, line_search=None)
    return energies, densities
