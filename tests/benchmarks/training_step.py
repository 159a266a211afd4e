"""Training steps: FiLM once a point, as in the released code, beside FiLM once a crystal, as here.

OMP_NUM_THREADS=1 python tests/benchmarks/training_step.py
python tests/benchmarks/training_step.py --device cuda --compiled

A step is that of `model.training`: it draws its batch on the device, goes forward and backward and updates.
Both networks start from the same weights and see the same crystals, points and noise. Each lives in a process
of its own, so that its memory is its own, and they step in turn, so that both see the same machine. Times are
the best of some repeats.

memory   the most that the process held: resident on a CPU, Python and torch included; allocated on a GPU
GFLOP    of matrix products and convolutions; normalisation, activations and updates are not counted
share    of the speed of one large square matrix product at the same precision, measured between the steps
ratio    time of a step, FiLM once a point over FiLM once a crystal
differs  first loss of FiLM once a point less that of FiLM once a crystal
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from crystalnet.data.building import build_store
from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.hardware import description
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.training import CHECK_EVERY, _fabric, _Trainer
from crystalnet.physics.atoms import Atoms
from crystalnet.settings import MIXED, TrainingParams

REPEATS = 3
PRECISIONS = {"32-true": torch.float32, MIXED: torch.bfloat16}
DEFAULTS = {"cpu": ([96, 256], 32, 6**3), "cuda": ([512], 128, 10**3)}  # on cuda the paper's
ACCELERATOR = {"cpu": "cpu", "cuda": "gpu"}
STEPS = {"cpu": 1, "cuda": CHECK_EVERY}  # timed together: training waits for a GPU no more often
SIDE = {"cpu": 2048, "cuda": 8192}  # of the large matrix product
COLUMNS = {  # name and characters
    "width": 5,
    "crystals": 10,
    "points": 8,
    "precision": 12,
    "FiLM": 16,
    "step s": 10,
    "crystals/s": 12,
    "points/s": 12,
    "memory GB": 11,
    "GFLOP": 10,
    "share": 8,
    "ratio": 7,
    "differs": 9,
}


class PointByPoint(CrystalNet):
    """The same network, its latent code repeated over the points before FiLM."""

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        repeated = z.repeat_interleave(query_coords.shape[1], 0)
        position = self.position_encoder(query_coords.flatten(0, 1))
        conditioned = self.gamma(repeated) * position + self.beta(repeated)
        return self.regressor(conditioned).view(query_coords.shape[:2])


NETWORKS = {"once a point": PointByPoint, "once a crystal": CrystalNet}
trainer: _Trainer  # of a process that holds a network


def make_store(path: Path, n_crystals: int) -> None:
    """CsCl types of different sizes."""
    sites, symbols = np.array([[0.0] * 3, [0.5] * 3]), np.array(["Cs", "Cl"])
    atoms = [Atoms((3 + i / n_crystals) * np.eye(3), sites, symbols) for i in range(n_crystals)]
    crystals = [Crystal(f"crystal {i}", a, 221, "cubic") for i, a in enumerate(atoms)]
    build_store({"train": crystals}, path, workers=1, progress=False)


def start(film: str, width: int, settings: TrainingParams, store: Path) -> float:
    """Make the network of this process; the loss of its first step, which also warms up."""
    global trainer
    compositions = Store(store).compositions
    trainer = _Trainer(
        _fabric(settings), NETWORKS[film](width), store, compositions, settings, store.parent, False
    )
    return float(trainer.step(0, 0)[0])


def seconds(repeat: int, n_steps: int) -> float:
    """Of a step; each draws other points."""
    started = time.perf_counter()
    for i in range(n_steps):
        losses = trainer.step(1 + repeat * n_steps + i, 0)
    losses.cpu()
    return (time.perf_counter() - started) / n_steps


def memory() -> int:
    """The most bytes that this process held."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def operations() -> int:
    """Floating-point operations of a step."""
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        trainer.step(0, 0)
    return counter.get_total_flops()


def flop_rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second of one large matrix product."""
    a = torch.rand(SIDE[device], SIDE[device], dtype=dtype, device=device)
    times = []
    for _ in range(2):  # the first warms up
        started = time.perf_counter()
        (a @ a)[0, 0].item()
        times.append(time.perf_counter() - started)
    return 2 * SIDE[device] ** 3 / times[1]


def new_process(threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,))


def side_by_side(width: int, settings: TrainingParams, store: Path, options: argparse.Namespace) -> None:
    """Print a row for each network."""
    device, processes = options.device, {film: new_process(options.threads) for film in NETWORKS}

    def each(function, *arguments) -> dict:
        return {f: p.submit(function, *arguments).result() for f, p in processes.items()}

    losses = {f: p.submit(start, f, width, settings, store).result() for f, p in processes.items()}
    repeats, rates = [], []
    for repeat in range(REPEATS):
        repeats.append(each(seconds, repeat, STEPS[device]))
        rates.append(flop_rate(device, PRECISIONS[settings.precision]))
    times = {film: min(repeat[film] for repeat in repeats) for film in NETWORKS}
    held, flops = each(memory), each(operations)
    for process in processes.values():
        process.shutdown()
    slow, fast = times.values()
    for film, step in times.items():
        rate, share = settings.batch_size / step, flops[film] / step / max(rates)
        cells = [width, settings.batch_size, settings.strata**3, settings.precision, film, f"{step:.4f}"]
        cells += [f"{rate:.1f}", f"{rate * settings.strata**3:,.0f}", f"{held[film] / 1e9:.2f}"]
        cells += [f"{flops[film] / 1e9:.1f}", f"{share:.1%}"]
        if film == "once a crystal":
            cells += [f"{slow / fast:.2f}", f"{np.subtract(*losses.values()):.0e}"]
        print_line(cells)


def print_line(cells: Iterable) -> None:
    print(
        *(f"{cell:>{size}}" for cell, size in zip(cells, COLUMNS.values(), strict=False)), sep="", flush=True
    )


def cube(text: str) -> int:
    """Points a crystal: one in each box of a division of the cell."""
    points = int(text)
    if round(points ** (1 / 3)) ** 3 != points:
        raise argparse.ArgumentTypeError(f"{points} is no cube such as 216 or 1000")
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description="Training steps, FiLM once a point and once a crystal.")
    parser.add_argument("--device", choices=DEFAULTS, default="cpu")
    parser.add_argument("--widths", type=int, nargs="+", help="of the network (cpu: 96 256; cuda: 512)")
    parser.add_argument("--crystals", type=int, help="a step (cpu: 32; cuda: 128)")
    parser.add_argument("--points", type=cube, help="a crystal, a cube (cpu: 216; cuda: 1000)")
    parser.add_argument("--threads", type=int, default=1, help="of each process (default: %(default)s)")
    parser.add_argument("--compiled", action="store_true", help="with torch.compile")
    options = parser.parse_args()
    widths, n_crystals, points = (
        given or usual
        for given, usual in zip(
            (options.widths, options.crystals, options.points), DEFAULTS[options.device], strict=True
        )
    )
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high" if options.device == "cuda" else "highest")  # as in training
    print(f"{options.threads} thread(s) of {description()}; product of {SIDE[options.device]}² matrices\n")
    print_line(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "crystals.h5"
        with new_process(options.threads) as process:  # so that its memory is not ours
            process.submit(make_store, store, n_crystals).result()
        for width, precision in product(widths, PRECISIONS):
            settings = TrainingParams(
                batch_size=n_crystals,
                strata=round(points ** (1 / 3)),
                accelerator=ACCELERATOR[options.device],
                precision=precision,
                compiled=options.compiled,
            )
            side_by_side(width, settings, store, options)


if __name__ == "__main__":
    main()
