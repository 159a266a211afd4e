"""How long the types of a formula take to be found among millions, and how much memory.

    python tests/benchmarks/types.py [MILLIONS]

Types are simulated: 20,000 anonymised formulas, a few of them with most of the types, a dozen sites each. The
file of six million takes some 3 GB of the temporary folder and half an hour to write.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import combinations_with_replacement, islice
from pathlib import Path

import numpy as np

from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.structure_types import TypeFile
from crystalnet.solving.type_writing import write

N_FORMULAS, N_SITES, N_LOOKED_UP = 20_000, 12, 200


def simulated(n: int) -> Iterator[FittedType]:
    """n types, the formulas with few atoms having the most."""
    rng = np.random.default_rng(0)
    formulas = sorted(islice(combinations_with_replacement(range(1, 40), 4), N_FORMULAS))
    shares = rng.pareto(1.0, N_FORMULAS) + 0.05
    counts = np.maximum(1, shares / shares.sum() * n).astype(int)
    for amounts, count in zip(formulas, counts.tolist(), strict=True):
        for size in sorted(rng.integers(2, 500, count).tolist(), reverse=True):
            yield FittedType(
                amounts,
                int(rng.integers(1, 231)),
                np.tril(rng.uniform(3, 9, (3, 3))),
                rng.uniform(0, 0.02, 6),
                rng.uniform(0, 1, (N_SITES, 3)),
                rng.uniform(0, 0.2, N_SITES),
                np.arange(N_SITES) % 4,
                tuple("abcdefghijkl"),
                tuple(Counter({symbol: size}) for symbol in ("Na", "Mg", "Si", "O")),
                size,
            )


def main(millions: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "types.safetensors"
        began = time.perf_counter()
        write(path, simulated(int(millions * 1e6)))
        print(f"{path.stat().st_size / 1e9:.2f} GB written in {time.perf_counter() - began:.0f} s")
        subprocess.run([sys.executable, __file__, "--look", str(path)], check=True)  # its memory is its own


def look(path: Path) -> None:
    before, began = peak(), time.perf_counter()
    types = TypeFile(path)
    print(f"{len(types):,} types opened in {1e3 * (time.perf_counter() - began):.0f} ms")
    took, found = [], 0
    for place in np.random.default_rng(1).choice(len(types.formulas), N_LOOKED_UP):
        amounts = types.formulas[place]
        began = time.perf_counter()
        first = next(iter(types.templates(amounts, "cubic")), None)
        took.append(1e3 * (time.perf_counter() - began))
        found += first is not None
    print(f"cubic types of a formula: median {np.median(took):.1f} ms, slowest {max(took):.0f} ms")
    print(f"{found} of {N_LOOKED_UP} formulas have some")
    print(f"memory {peak():.2f} GB at most, {before:.2f} before the file was opened")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--look"]:
        look(Path(sys.argv[2]))
    else:
        main(*map(float, sys.argv[1:] or ["6"]))
