r"""The valence density of one crystal by GPAW, in the manner of a VASP CHGCAR. Needs NumPy, SciPy, ASE, GPAW.

`python -m crystalnet.data.reference.gpaw_density crystal.json density.npy`; `make_densities` calls it so.

GPAW keeps a smooth density on a grid and, around each nucleus a, the all-electron and the smooth density as
radial functions times spherical harmonics (projector-augmented waves: Blöchl, Phys. Rev. B 50, 17953 (1994)).
As in VASP, the all-electron n_a is made smooth in the core before it goes to the grid in place of n~_a:

    rho(G) = n~(G) + 1/V sum_a exp(-i G.x_a) sum_lm 4 pi (-i)^l Y_lm(G) f_alm(|G|)
    f_alm(q) = int (P n_alm - n~_alm) j_l(q r) r^2 dr

P is the pseudization of the promolecule's atoms (`make_valence`); it keeps charge and multipoles. Shells that
are valence there and core in GPAW's data, or the other way round, are those of the free atom. Bohr, e/Bohr^3.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import spherical_jn

from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.physics.tables.make_valence import configurations, pseudize, pseudized_valence
from crystalnet.physics.tables.radial_atom import radial_grid, shells, solve_atom

CONVERGENCE = {"density": 1e-3, "eigenstates": 1e-3, "energy": 0.01}  # far below the files' half precision
N_WAVENUMBERS = 700  # our choice: where radial functions are transformed; splines lie between


def valence_density(crystal: dict) -> np.ndarray:
    """Density (n, n, n) in e/Å^3 on the grid i / n of the cell.

    `crystal`: lattice (3, 3) rows in Å, frac_coords, species, n, xc, cutoff_ev of the plane waves, k_density
    in points per 1/Å along each reciprocal axis, width_ev of the Fermi function.
    """
    import ase
    import gpaw
    from ase.units import Bohr
    from gpaw.spherical_harmonics import Y

    atoms = ase.Atoms(
        crystal["species"], cell=crystal["lattice"], scaled_positions=crystal["frac_coords"], pbc=True
    )
    atoms.calc = calculator = gpaw.GPAW(
        mode=gpaw.PW(crystal["cutoff_ev"]),
        xc=crystal["xc"],
        kpts={"density": crystal["k_density"], "gamma": True},
        occupations=gpaw.FermiDirac(crystal["width_ev"]),
        spinpol=False,
        convergence=CONVERGENCE,
        txt=None,
    )
    atoms.get_potential_energy()

    n, cell = crystal["n"], atoms.cell.array / Bohr
    axis = np.fft.fftfreq(n, 1 / n)
    hkl = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)  # (n, n, n, 3)
    waves = 2 * np.pi * hkl @ np.linalg.inv(cell).T
    wavenumber = np.linalg.norm(waves, axis=-1)
    direction = np.moveaxis(waves / np.maximum(wavenumber, 1e-9)[..., None], -1, 0)
    coefficients = smooth_part(calculator.density, n)  # e/Bohr^3, the mean at G = 0
    for a, setup in enumerate(calculator.setups):
        matrix = calculator.density.D_asp[a].sum(0)
        phase = np.exp(-2j * np.pi * (hkl @ np.array(crystal["frac_coords"][a])))
        for index, radial in enumerate(onsite_parts(setup, matrix, wavenumber.max())):
            ell = int(np.sqrt(index))
            harmonic = Y(index, *direction)
            if ell:  # Y_00 alone is left where G has no direction
                harmonic[0, 0, 0] = 0
            share = (-1j) ** ell * harmonic * radial(wavenumber) * phase
            coefficients += 4 * np.pi / abs(np.linalg.det(cell)) * share
    if n % 2 == 0:  # as in promolecule_cmed: half of a +-n/2 pair would break the symmetry
        coefficients[n // 2], coefficients[:, n // 2], coefficients[:, :, n // 2] = 0, 0, 0
    return np.ascontiguousarray(np.fft.ifftn(coefficients).real) * n**3 / Bohr**3


def smooth_part(density: Any, n: int) -> np.ndarray:
    """Fourier coefficients (n, n, n) of GPAW's smooth valence density, cut or padded to n an axis."""
    rho = density.nt_sG[0] - density.nct_G
    coefficients = np.zeros((n, n, n), complex)
    reach = [(min(size, n) - 1) // 2 for size in rho.shape]
    common = np.ix_(*[np.arange(-m, m + 1) for m in reach])
    coefficients[common] = (np.fft.fftn(rho) / rho.size)[common]
    return coefficients


def onsite_parts(setup: Any, matrix: np.ndarray, largest: float) -> list:
    """f_lm(q) of the docstring for one atom as functions of q up to `largest`, in the order of lm.

    setup, matrix: GPAW's data of the element, and the atom's packed density matrix.
    """
    expansion = setup.xc_correction
    r, weights = expansion.rgd.r_g[1:], expansion.rgd.dr_g[1:]  # without r = 0
    products = np.dot(expansion.B_pqL.T, matrix)
    exact, smooth = (products @ waves[:, 1:] for waves in (expansion.n_qg, expansion.nt_qg))
    outer = max(setup.rcut_j)
    _, radius = core(setup.symbol)
    wavenumbers = np.linspace(0, 1.001 * largest, N_WAVENUMBERS)
    parts = []
    for index in range(len(exact)):
        ell = int(np.sqrt(index))
        difference = pseudized(exact[index], r, weights, min(radius, outer), ell) - smooth[index]
        parts.append(transform(difference * (r < 1.02 * outer), r, weights, ell, wavenumbers))
    difference, r, weights = other_shells(setup)
    spherical = difference * np.sqrt(4 * np.pi)  # = difference / Y_00
    parts[0] += transform(spherical, r, weights, 0, wavenumbers)
    return [CubicSpline(wavenumbers, part) for part in parts]


def transform(
    f: np.ndarray, r: np.ndarray, weights: np.ndarray, ell: int, wavenumbers: np.ndarray
) -> np.ndarray:
    """int f(r) j_l(q r) r^2 dr at each wavenumber q."""
    return spherical_jn(ell, np.outer(wavenumbers, r)) @ (f * r**2 * weights)


def pseudized(density: np.ndarray, r: np.ndarray, weights: np.ndarray, radius: float, ell: int) -> np.ndarray:
    """A multipole of the density made smooth inside the radius: r^l times an even polynomial, same moment."""
    radius = r[np.searchsorted(r, radius)]
    smooth = pseudize(density / r**ell, r, weights, radius)  # keeps int r^2; int r^(2 + 2l) is to be kept
    bump = np.clip(1 - (r / radius) ** 2, 0, None) ** 3  # changes no value, slope or curvature at the radius
    moment = weights * r ** (2 + 2 * ell)
    lack = moment @ (density / r**ell - smooth)
    return r**ell * (smooth + lack / (moment @ bump) * bump)


@cache
def core(symbol: str) -> tuple[np.ndarray, float]:
    """The pseudized free atom and its pseudization radius."""
    return pseudized_valence(symbol)


def other_shells(setup: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free-atom density that the promolecule counts as valence and GPAW does not, less the reverse; grid."""
    z = ATOMIC_NUMBERS[setup.symbol]
    r, weights = radial_grid(z)
    _, inner, outer = configurations()[setup.symbol]
    ours = {(shell.n, shell.ell): shell for shell in shells(outer)}
    core_shells = {(shell.n, shell.ell): shell for shell in shells(inner)}
    theirs = {(n, ell) for n, ell, f in zip(setup.n_j, setup.l_j, setup.f_j, strict=True) if n > 0 and f > 0}
    added = [s for key, s in ours.items() if key not in theirs and s.occupation == 2 * (2 * s.ell + 1)]
    removed = [s for key, s in core_shells.items() if key in theirs]
    if not added and not removed:
        return np.zeros_like(r), r, weights
    _, densities = solve_atom(z, [*core_shells.values(), *ours.values()])
    difference = sum(densities[s] for s in added) - sum(densities[s] for s in removed)
    return pseudize(difference, r, weights, core(setup.symbol)[1]), r, weights


if __name__ == "__main__":
    source, target = sys.argv[1:]
    with open(source) as file:
        np.save(target, valence_density(json.load(file)))
