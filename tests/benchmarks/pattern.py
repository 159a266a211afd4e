"""Patterns and densities: ours beside pymatgen's XRDCalculator, then 32 crystals one by one and as a batch.

OMP_NUM_THREADS=1 python tests/benchmarks/pattern.py [structures.jsonl.gz]

Times are the best of some repeats. The batch is drawn from the embedded prototypes, or at random from the
crystals of a file of JSON lines with `crystal_system`, `lattice`, `species` and `frac_coords`.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from crystalnet.data.prototypes import prototype_crystals
from crystalnet.hardware import description
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import promolecule_cmeds
from crystalnet.physics.diffraction import MO_K_ALPHA, powder_patterns, powder_peaks

SYSTEMS = "cubic", "trigonal"
N_BATCH = 32
CRYSTALS = {  # conventional cells
    "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
    "Cu2MnAl": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.95), ["Al", "Mn", "Cu"], [[0, 0, 0], [0.5] * 3, [0.25] * 3]
    ),
    "MgAl2O4, spinel": Structure.from_spacegroup(  # origin choice 1, as pymatgen's Fd-3m
        "Fd-3m", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[0, 0, 0], [0.625] * 3, [0.387] * 3]
    ),
    "Mg3Al2Si3O12, garnet": Structure.from_spacegroup(
        "Ia-3d",
        Lattice.cubic(11.46),
        ["Mg", "Al", "Si", "O"],
        [[0.125, 0, 0.25], [0, 0, 0], [0.375, 0, 0.25], [0.033, 0.0503, 0.6534]],
    ),
}


def timed(function, *arguments, repeats: int = 3, **settings):
    """The result and the fastest of some calls, s, after one that does not count."""
    result, times = function(*arguments, **settings), []
    for _ in range(repeats):
        started = time.perf_counter()
        function(*arguments, **settings)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return result, min(times)


def batch(system: str, file: str | None) -> list[Atoms]:
    """The crystals of a batch of one crystal system."""
    if file is None:
        return [crystal.atoms for crystal in prototype_crystals(system, N_BATCH)]
    text = gzip.decompress(Path(file).read_bytes()) if file.endswith(".gz") else Path(file).read_bytes()
    rows = [row for line in text.splitlines() if (row := json.loads(line))["crystal_system"] == system]
    drawn = np.random.default_rng(0).choice(len(rows), N_BATCH, replace=False)
    keys = "lattice", "frac_coords", "species"
    return [Atoms(*(np.array(rows[i][key]) for key in keys)) for i in drawn]


def beside_pymatgen() -> None:
    calculator = XRDCalculator(wavelength=MO_K_ALPHA)
    head = f"{'one pattern':22}{'atoms':>6}{'peaks':>7}{'pymatgen s':>12}{'ours s':>9}{'ratio':>7}"
    print(f"{head}{'differs by':>12}")
    for name, structure in CRYSTALS.items():
        theirs, slow = timed(calculator.get_pattern, structure, two_theta_range=(0, 180))
        ours, fast = timed(powder_peaks, structure, repeats=30)
        difference = np.abs(theirs.y - ours.intensity).max()  # per cent of the highest peak
        print(
            f"{name:22}{len(structure):6}{len(ours.intensity):7}{slow:12.3f}{fast:9.4f}{slow / fast:7.0f}"
            f"{difference:12.1e}",
            flush=True,
        )


def one_by_one_and_together(file: str | None) -> None:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    print(f"\n{'ms a crystal':36}" + "".join(f"{'one by one':>12}{'batch':>8}" for _ in devices))
    for system in SYSTEMS:
        crystals = batch(system, file)
        for name, function, settings in (
            ("pattern", powder_patterns, {}),
            ("CMED, float64", promolecule_cmeds, {}),
            ("CMED, float32", promolecule_cmeds, {"dtype": torch.float32}),
        ):
            line = f"{system:10}{np.mean([len(c.symbols) for c in crystals]):5.1f} atoms  {name:15}"
            for device in devices:
                settings["device"] = device
                _, alone = timed(lambda: [function([c], **settings) for c in crystals])  # noqa: B023
                _, together = timed(function, crystals, repeats=10, **settings)
                line += f"{alone / N_BATCH * 1e3:12.2f}{together / N_BATCH * 1e3:8.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} thread(s); {description()}\n")
    beside_pymatgen()
    one_by_one_and_together(*sys.argv[1:] or [None])
