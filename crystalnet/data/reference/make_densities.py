"""Writes the reference densities beside this file and their index.json, in a few minutes on one core.

To read them, GPAW is not needed. To compute them, `apt install gpaw gpaw-data` on Debian 12 gives version
22.8 and its data to the system's Python. Then, from the root of the repository,

    python -m crystalnet.data.reference.make_densities /usr/bin/python3 [FORMULA ...]

names the Python that has GPAW, and the crystals to compute again, if not all. Our Python brings each
structure to its standard primitive cell and writes the file; the other one runs `gpaw_density`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import Crystal, crystal_from_structure
from crystalnet.data.densities import write_cmed
from crystalnet.data.reference import FOLDER
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.density import GRID, n_electrons
from crystalnet.physics.tables import valence

ROOT = FOLDER.parents[2]

# space group | a b c (Å) alpha beta gamma (degrees) | element x y z, ...
# Within some 0.001 Å those of R. W. G. Wyckoff, Crystal Structures, 2nd ed., Interscience (1963-66); I2 at
# 110 K (Acta Cryst. 23, 90 (1967)); Se, AuTe2, P2I4 as in AFLOW (doi 10.1016/j.commatsci.2017.01.017).
CRYSTALS = """
Fm-3m    | 4.0496 4.0496 4.0496 90 90 90    | Al 0 0 0
Im-3m    | 2.8665 2.8665 2.8665 90 90 90    | Fe 0 0 0
Fd-3m    | 5.4309 5.4309 5.4309 90 90 90    | Si 0 0 0
Fm-3m    | 5.6402 5.6402 5.6402 90 90 90    | Na 0 0 0, Cl 0.5 0.5 0.5
Pm-3m    | 3.905 3.905 3.905 90 90 90       | Sr 0 0 0, Ti 0.5 0.5 0.5, O 0.5 0.5 0
R-3m     | 3.760 3.760 10.548 90 90 120     | As 0 0 0.227
P-3m1    | 4.24 4.24 6.84 90 90 120         | Cd 0 0 0, I 1/3 2/3 0.249
P3_121   | 4.3662 4.3662 4.9536 90 90 120   | Se 0.2254 0 1/3
P6_3/mmc | 2.456 2.456 6.696 90 90 120      | C 0 0 0.25, C 1/3 2/3 0.25
P4_2/mnm | 4.5937 4.5937 2.9581 90 90 90    | Ti 0 0 0, O 0.3053 0.3053 0
Cmce     | 7.136 4.686 9.784 90 90 90       | I 0 0.15434 0.11741
C2/m     | 7.189 4.407 5.069 90 90.04 90    | Au 0 0 0, Te 0.6879 0 0.2889
P-1      | 4.56 7.06 7.40 80.2 106.967 98.2 | P 0.397 0.639 0.463, I 0.557 0.730 0.165, I 0.820 0.803 0.695
"""

SETTINGS = {
    "n": GRID,
    "xc": "PBE",
    "cutoff_ev": 450.0,  # Al, Fe, Si, NaCl: within 0.2 % (relative L1) of 700 eV and twice the k-points
    "k_density": 4.0,  # points per 1/Å along a reciprocal axis
    "width_ev": 0.1,  # Fermi function
}


def reference_crystals() -> list[Crystal]:
    """The crystals of CRYSTALS in their standard primitive cells; material_id is formula and space group."""
    crystals = []
    for line in CRYSTALS.strip().splitlines():
        symbol, cell, sites = (part.strip() for part in line.split("|"))
        elements, *coords = zip(*(site.split() for site in sites.split(",")), strict=True)
        structure = Structure.from_spacegroup(
            symbol,
            Lattice.from_parameters(*map(float, cell.split())),
            elements,
            [[float(Fraction(x)) for x in site] for site in zip(*coords, strict=True)],
        )
        crystal = crystal_from_structure(structure, line)
        name = f"{crystal.formula}-{crystal.space_group}"
        crystals.append(crystal_from_structure(structure, name, source="GPAW"))
    return crystals


def compute(crystal: Crystal, python: str) -> np.ndarray:
    """The crystal's density by GPAW (n, n, n), e/Å^3."""
    lattice, frac_coords, symbols = crystal.atoms
    facts = {"lattice": lattice.tolist(), "frac_coords": frac_coords.tolist(), "species": symbols.tolist()}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "crystal.json", Path(folder) / "density.npy"
        source.write_text(json.dumps(facts | SETTINGS))
        run(python, "-m", "crystalnet.data.reference.gpaw_density", str(source), str(target))
        return np.load(target, allow_pickle=False)


def run(python: str, *arguments: str) -> str:
    """What the other Python prints. Raises CrystalNetError if it fails; its own words come before."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # these cells are too small to gain from more
    try:
        done = subprocess.run(
            [python, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise CrystalNetError(
            f"{str(error).rstrip('.')}. Name a Python that has GPAW, and see its message above.",
            Code.NO_SOFTWARE,
        ) from None
    return done.stdout


def main(python: str, *formulae: str) -> None:
    version = run(python, "-c", "import gpaw; print(gpaw.__version__)").strip()
    index = FOLDER / "index.json"
    entries = {entry["file"]: entry for entry in json.loads(index.read_text())} if index.exists() else {}
    for crystal in reference_crystals():
        if formulae and crystal.formula not in formulae:
            continue
        started = time.perf_counter()
        rho = compute(crystal, python)
        file = f"{crystal.material_id}.npz"
        write_cmed(FOLDER / file, rho, crystal.atoms)
        entries[file] = {
            "file": file,
            "formula": crystal.formula,
            "space_group": crystal.space_group,
            "crystal_system": crystal.crystal_system,
            "electrons_asked": sum(valence(symbol).n_electrons for symbol in crystal.atoms.symbols.tolist()),
            "electrons_integrated": round(n_electrons(rho, crystal.atoms.lattice), 4),
            "gpaw": version,
            **SETTINGS,
            "seconds": round(time.perf_counter() - started, 1),
        }
        part = index.with_suffix(".part")
        part.write_text(json.dumps(list(entries.values()), indent=1) + "\n")
        os.replace(part, index)
        print(file, f"{entries[file]['electrons_integrated']:g} electrons, {entries[file]['seconds']} s")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
