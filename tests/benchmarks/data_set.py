"""Building a data set and reading points from it: seconds, memory, and the reference's way of reading.

python tests/benchmarks/data_set.py [file or folder of crystals] [crystal system]

Without arguments it builds embedded crystals. Memory is the sum over all processes of their
proportional share.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from crystalnet.data.building import build_store
from crystalnet.data.prototypes import prototype_crystals
from crystalnet.data.tables import read_crystals

BATCH, STRATA = 128, 10  # the paper's crystals a step, and points an axis


class PeakMemory(threading.Thread):
    """Highest proportional memory of this process and its children while it runs, bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.running = 0, True

    def run(self):
        while self.running:
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    info = process.memory_full_info()
                    total += getattr(info, "pss", info.uss)
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.2)


def points_by_loops(cmed: np.ndarray, rng: np.random.Generator) -> list[float]:
    """One point in each of 10^3 boxes of one density, a Python step a box, as the reference draws them."""
    edge, points = len(cmed) // STRATA, []
    for i in range(STRATA):
        for j in range(STRATA):
            for k in range(STRATA):
                x, y, z = (edge * box + int(edge * rng.random()) for box in (i, j, k))
                points.append(float(cmed[x, y, z]))
    return points


def reading(store) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(len(store), size=BATCH)
    voxels = rng.integers(store.n**3, size=(BATCH, STRATA**3))

    def ms_a_crystal(function, repeats):
        started = time.perf_counter()
        for _ in range(repeats):
            function()
        return 1e3 * (time.perf_counter() - started) / repeats / BATCH

    with store.path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    cold = ms_a_crystal(lambda: store.densities(rows, voxels), 1)
    warm = ms_a_crystal(lambda: store.densities(rows, voxels), 20)
    loaded = [np.array(store.cmed[row], dtype=float) for row in rows]
    loops = ms_a_crystal(lambda: [points_by_loops(cmed, rng) for cmed in loaded], 1)
    print(f"{STRATA**3} points of {BATCH} crystals, ms a crystal: loops over an array in memory {loops:.2f},")
    print(f"mapped file warm {warm:.3f} ({loops / warm:.0f} times),", end=" ")
    print(f"from disk {cold:.3f} ({loops / cold:.0f} times)")


if __name__ == "__main__":
    source, system = [*sys.argv[1:], None, "cubic"][:2] if len(sys.argv) < 3 else sys.argv[1:3]
    system = system or "cubic"
    memory = PeakMemory()
    memory.start()
    started = time.perf_counter()
    crystals = read_crystals(source, system).crystals if source else prototype_crystals("cubic", 1000)
    read = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store = build_store({"train": crystals}, Path(folder, "data.h5"))
        built = time.perf_counter()
        memory.running = False
        print(
            f"{len(crystals)} crystals: read in {read - started:.1f} s, built in {built - read:.1f} s",
            end=" ",
        )
        print(
            f"({len(crystals) / (built - read):.0f} a second), memory at most {memory.peak / 2**20:.0f} MiB"
        )
        store.verify()
        seconds = time.perf_counter() - built
        print(f"checksums of {store.path.stat().st_size / 1e9:.2f} GB verified in {seconds:.1f} s")
        reading(store)
