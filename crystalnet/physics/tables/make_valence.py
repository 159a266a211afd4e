"""Writes valence.json: `python -m crystalnet.physics.tables.make_valence` (half a minute).

Each element's spherical valence density, from first principles and our own code:
1. `solve_atom` of radial_atom.py: the self-consistent atom.
2. `pseudize`: inside the core the valence density becomes a smooth even polynomial of the same charge, the
   way plane-wave codes write it to a CHGCAR.
3. `fit_gaussians`: a few Gaussians with the exact electron count.
Atomic units: Bohr, e/Bohr^3.

>>> configurations()["Si"]  # radius of the core in Bohr, core, valence
(1.9, '[Ne]', '3s2 3p2')
>>> density, _ = pseudized_valence("H")
>>> round(float(np.trapezoid(4 * np.pi * FIT_RADII**2 * density, FIT_RADII)), 3)  # electrons
1.0
>>> table_entry("H")["n_electrons"], len(fit_gaussians(density, 1.0)[0])
(1.0, 8)
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np

from crystalnet.physics.tables import ATOMIC_NUMBERS, write_table
from crystalnet.physics.tables.radial_atom import radial_grid, shells, solve_atom

CORE_FRACTION = {"Li": 0.70, "C": 0.65}  # pseudization radius / PAW core radius, fitted to VASP's CHGCARs:
DEFAULT_CORE_FRACTION = 0.74  # Li in LiH, C in graphite, and one value for CdF2, Fe, Cr, Si, Al and the rest

# symbol, PAW core radius (Bohr), core | valence. The valence shells are those of the PBE PAW sets that the
# Materials Project uses (the open 4f shell of most lanthanides sits in the core); the radii are typical of
# such sets. Po, At, Rn, Fr, Ra have no such set there and follow Bi, Cs and Ba.
CONFIGURATIONS = """
H 1.1 | 1s1; He 1.1 | 1s2; Li 1.7 | 1s2 2s1; Be 1.7 | 1s2 2s2; B 1.7 [He] | 2s2 2p1; C 1.5 [He] | 2s2 2p2;
N 1.5 [He] | 2s2 2p3; O 1.52 [He] | 2s2 2p4; F 1.52 [He] | 2s2 2p5; Ne 1.7 [He] | 2s2 2p6;
Na 2.2 [He] 2s2 | 2p6 3s1; Mg 2 [He] 2s2 | 2p6 3s2; Al 1.9 [Ne] | 3s2 3p1; Si 1.9 [Ne] | 3s2 3p2;
P 1.9 [Ne] | 3s2 3p3; S 1.9 [Ne] | 3s2 3p4; Cl 1.9 [Ne] | 3s2 3p5; Ar 1.9 [Ne] | 3s2 3p6;
K 2.3 [Ne] | 3s2 3p6 4s1; Ca 2.3 [Ne] | 3s2 3p6 4s2; Sc 2.5 [Ne] | 3s2 3p6 3d1 4s2;
Ti 2.5 [Ne] 3s2 | 3p6 3d3 4s1; V 2.3 [Ne] 3s2 | 3p6 3d4 4s1; Cr 2.3 [Ne] 3s2 | 3p6 3d5 4s1;
Mn 2.3 [Ne] 3s2 | 3p6 3d5 4s2; Fe 2.2 [Ne] 3s2 | 3p6 3d7 4s1; Co 2.3 [Ar] | 3d8 4s1;
Ni 2 [Ne] 3s2 | 3p6 3d9 4s1; Cu 2 [Ne] 3s2 | 3p6 3d10 4s1; Zn 2.3 [Ar] | 3d10 4s2;
Ga 2.3 [Ar] | 3d10 4s2 4p1; Ge 2.3 [Ar] | 3d10 4s2 4p2; As 2.1 [Ar] 3d10 | 4s2 4p3;
Se 2.1 [Ar] 3d10 | 4s2 4p4; Br 2.1 [Ar] 3d10 | 4s2 4p5; Kr 2.3 [Ar] 3d10 | 4s2 4p6;
Rb 2.5 [Ar] 3d10 | 4s2 4p6 5s1; Sr 2.5 [Ar] 3d10 | 4s2 4p6 5s2; Y 2.6 [Ar] 3d10 | 4s2 4p6 4d1 5s2;
Zr 2.5 [Ar] 3d10 | 4s2 4p6 4d3 5s1; Nb 2.4 [Ar] 3d10 4s2 | 4p6 4d4 5s1; Mo 2.4 [Ar] 3d10 4s2 | 4p6 4d5 5s1;
Tc 2.4 [Ar] 3d10 4s2 | 4p6 4d6 5s1; Ru 2.4 [Ar] 3d10 4s2 | 4p6 4d7 5s1; Rh 2.4 [Ar] 3d10 4s2 | 4p6 4d8 5s1;
Pd 2.4 [Kr] | 4d9 5s1; Ag 2.4 [Kr] | 4d10 5s1; Cd 2.3 [Kr] | 4d10 5s2; In 2.5 [Kr] | 4d10 5s2 5p1;
Sn 2.5 [Kr] | 4d10 5s2 5p2; Sb 2.3 [Kr] 4d10 | 5s2 5p3; Te 2.3 [Kr] 4d10 | 5s2 5p4;
I 2.3 [Kr] 4d10 | 5s2 5p5; Xe 2.5 [Kr] 4d10 | 5s2 5p6; Cs 2.5 [Kr] 4d10 | 5s2 5p6 6s1;
Ba 2.8 [Kr] 4d10 | 5s2 5p6 6s2; La 2.8 [Kr] 4d10 | 5s2 5p6 5d1 6s2; Ce 2.7 [Kr] 4d10 | 5s2 5p6 4f1 5d1 6s2;
Pr 2.7 [Kr] 4d10 4f2 | 5s2 5p6 5d1 6s2; Nd 2.7 [Kr] 4d10 4f3 | 5s2 5p6 5d1 6s2;
Pm 2.7 [Kr] 4d10 4f4 | 5s2 5p6 5d1 6s2; Sm 2.7 [Kr] 4d10 4f5 | 5s2 5p6 5d1 6s2;
Eu 2.7 [Kr] 4d10 | 5s2 5p6 4f7 6s2; Gd 2.7 [Kr] 4d10 | 5s2 5p6 4f7 5d1 6s2;
Tb 2.7 [Kr] 4d10 4f8 5s2 | 5p6 5d1 6s2; Dy 2.7 [Kr] 4d10 4f9 5s2 | 5p6 5d1 6s2;
Ho 2.7 [Kr] 4d10 4f10 5s2 | 5p6 5d1 6s2; Er 2.7 [Kr] 4d10 4f11 5s2 | 5p6 5d1 6s2;
Tm 2.7 [Kr] 4d10 4f12 5s2 | 5p6 5d1 6s2; Yb 2.7 [Kr] 4d10 4f14 5s2 | 5p6 6s2;
Lu 2.7 [Kr] 4d10 4f14 5s2 | 5p6 5d1 6s2; Hf 2.5 [Kr] 4d10 4f14 5s2 | 5p6 5d2 6s2;
Ta 2.5 [Kr] 4d10 4f14 5s2 | 5p6 5d3 6s2; W 2.5 [Kr] 4d10 4f14 5s2 | 5p6 5d4 6s2;
Re 2.5 [Kr] 4d10 4f14 5s2 | 5p6 5d5 6s2; Os 2.5 [Kr] 4d10 4f14 5s2 | 5p6 5d6 6s2;
Ir 2.5 [Xe] 4f14 | 5d8 6s1; Pt 2.5 [Xe] 4f14 | 5d9 6s1; Au 2.5 [Xe] 4f14 | 5d10 6s1;
Hg 2.5 [Xe] 4f14 | 5d10 6s2; Tl 2.6 [Xe] 4f14 | 5d10 6s2 6p1; Pb 2.6 [Xe] 4f14 | 5d10 6s2 6p2;
Bi 2.6 [Xe] 4f14 5d10 | 6s2 6p3; Po 2.6 [Xe] 4f14 5d10 | 6s2 6p4; At 2.6 [Xe] 4f14 5d10 | 6s2 6p5;
Rn 2.6 [Xe] 4f14 5d10 | 6s2 6p6; Fr 2.8 [Xe] 4f14 5d10 | 6s2 6p6 7s1; Ra 2.8 [Xe] 4f14 5d10 | 6s2 6p6 7s2;
Ac 2.8 [Xe] 4f14 5d10 | 6s2 6p6 6d1 7s2; Th 2.8 [Xe] 4f14 5d10 | 6s2 6p6 6d2 7s2;
Pa 2.8 [Xe] 4f14 5d10 | 6s2 6p6 5f2 6d1 7s2; U 2.8 [Xe] 4f14 5d10 | 6s2 6p6 5f3 6d1 7s2;
Np 2.8 [Xe] 4f14 5d10 | 6s2 6p6 5f4 6d1 7s2; Pu 2.8 [Xe] 4f14 5d10 | 6s2 6p6 5f5 6d1 7s2
"""

FIT_RADII = np.linspace(0, 16, 1601)  # Bohr
FIT_SIZES = (4, 6, 8, 10)  # numbers of Gaussians
FIT_SMALLEST = (0.03, 0.045, 0.06, 0.08, 0.11, 0.15)  # 1/Bohr^2, the broadest Gaussian
FIT_LARGEST = (0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 7.0, 10.0)  # 1/Bohr^2, the sharpest
FIT_RIDGE = 1e-10  # relative to the trace of the normal matrix
FIT_L1 = 0.006  # the smallest number of Gaussians below this relative L1 error is taken


def configurations() -> dict[str, tuple[float, str, str]]:
    """Symbol -> (PAW core radius, core, valence) as written in CONFIGURATIONS."""
    table = {}
    for entry in CONFIGURATIONS.split(";"):
        left, valence = entry.split("|")
        symbol, radius, *core = left.split()
        table[symbol] = (float(radius), " ".join(core), valence.strip())
    return table


def pseudize(density: np.ndarray, r: np.ndarray, weights: np.ndarray, radius: float) -> np.ndarray:
    """Replace density(r < radius) by a + b r^2 + c r^4 + d r^6 of the same charge, smooth to 2nd order.

    >>> r, weights = radial_grid(1)
    >>> smooth = pseudize(np.exp(-2 * r) / np.pi, r, weights, radius=1.0)
    >>> round(float(weights @ (4 * np.pi * r**2 * smooth)), 4)  # the charge stays
    1.0
    """
    i = np.searchsorted(r, radius)
    near, radius, powers = slice(i - 4, i + 5), r[i], np.arange(0, 8, 2)
    *_, curvature, slope, value = np.polyfit(r[near] - radius, density[near], 4)
    moment = weights[:i] @ (r**2 * density)[:i] + 0.5 * weights[i] * radius**2 * density[i]
    conditions = [
        radius**powers,
        powers * radius ** (powers - 1.0),
        powers * (powers - 1) * radius ** (powers - 2.0),
        radius ** (powers + 3) / (powers + 3),
    ]
    coefficients = np.linalg.solve(conditions, [value, slope, 2 * curvature, moment])
    smooth = density.copy()
    smooth[:i] = coefficients @ r[:i] ** powers[:, None]
    return smooth


def pseudized_valence(symbol: str) -> tuple[np.ndarray, float]:
    """Pseudized valence density (e/Bohr^3) at FIT_RADII, and the pseudization radius (Bohr)."""
    core_radius, core, valence = configurations()[symbol]
    z = ATOMIC_NUMBERS[symbol]
    r, weights = radial_grid(z)
    _, densities = solve_atom(z, shells(core) + shells(valence))
    density = sum(densities[shell] for shell in shells(valence))
    radius = CORE_FRACTION.get(symbol, DEFAULT_CORE_FRACTION) * core_radius
    smooth = pseudize(density, r, weights, radius)
    while smooth.min() < -1e-6 and radius <= 1.3 * core_radius:  # a wider core bends less
        radius *= 1.04
        smooth = pseudize(density, r, weights, radius)
    return np.interp(FIT_RADII, r, smooth), radius


def fit_gaussians(density: np.ndarray, n_electrons: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Exponents, coefficients and relative L1 error of the Gaussian fit to density at FIT_RADII.

    Linear least squares of r * density with the charge as an exact constraint, for each even-tempered set of
    exponents; the best set has the smallest L1 error plus a penalty on negative density.
    """
    r = FIT_RADII
    density = density * n_electrons / np.trapezoid(4 * np.pi * r**2 * density, r)
    for size in FIT_SIZES:
        fits = []
        for smallest, largest in product(FIT_SMALLEST, FIT_LARGEST):
            a = np.geomspace(smallest, largest, size)
            gaussians = np.exp(-np.outer(r**2, a))
            weighted = gaussians * r[:, None]
            normal = weighted.T @ weighted
            normal += FIT_RIDGE * np.trace(normal) / size * np.eye(size)
            charges = (np.pi / a) ** 1.5
            system = np.block([[normal, charges[:, None]], [charges, np.zeros(1)]])
            c = np.linalg.solve(system, np.append(weighted.T @ (density * r), n_electrons))[:size]
            fitted = gaussians @ c
            l1 = np.sum(r**2 * abs(fitted - density)) / np.sum(r**2 * density)
            negative = max(0.0, -fitted.min()) / density.max()
            fits.append((l1 + 2 * negative, l1, a, c * n_electrons / (charges @ c)))
        _, l1, a, c = min(fits, key=lambda fit: fit[0])
        if l1 < FIT_L1:
            break
    return a, c, float(l1)


def table_entry(symbol: str) -> dict:
    """The element's entry of valence.json."""
    _, core, valence = configurations()[symbol]
    n_electrons = sum(shell.occupation for shell in shells(valence))
    density, radius = pseudized_valence(symbol)
    exponents, coefficients, l1 = fit_gaussians(density, n_electrons)
    return {"Z": ATOMIC_NUMBERS[symbol], "n_electrons": n_electrons, "core": core, "valence": valence,
            "core_radius_bohr": round(radius, 4), "exponents": exponents.tolist(),
            "coefficients": coefficients.tolist(), "l1_error": round(l1, 5)}  # fmt: skip


HEADER = {
    "quantity": "spherical, pseudized valence electron density rho(r) = sum c exp(-a r^2)",
    "units": "r in Bohr, exponents a in 1/Bohr^2, coefficients c in e/Bohr^3",
    "method": "spin-restricted scalar-relativistic (ZORA) LDA atom, pseudized inside core_radius_bohr; "
    "l1_error is the fit's integral of |error| over the integral of the density",
    "licence": "MIT, as this project",
    "made_by": "crystalnet/physics/tables/make_valence.py",
}

if __name__ == "__main__":
    symbols = list(configurations())
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        write_table("valence.json", HEADER, dict(zip(symbols, pool.map(table_entry, symbols), strict=True)))
