"""Building a data set: in blocks of crystals, by many processes, resumable after a kill at any moment.

The file is laid out in full and checked to fit on the disk before the first crystal is computed. A crystal
counts as done once its checksum is written, which is the last thing written of it; what was not done is
computed again. The file gets its name when it is whole. Same crystals, same bytes, however often it stopped.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal, composition_vector
from crystalnet.data.densities import cmed_from_file
from crystalnet.data.layout import FORMAT, REASON, Rows, checked_rows, crystal_text, lay_out, read_header
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.hardware import n_cores
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import GRID, promolecule_cmeds
from crystalnet.physics.diffraction import powder_patterns

BLOCK = 32  # crystals computed together, our choice: 8 MB of densities, half a second of work
START = 5  # blocks that are computed while a process starts

Density = Literal["promolecule", "dft", "available"]


def build_store(
    splits: dict[str, Sequence[Crystal]],
    path,
    n: int = GRID,
    density: Density = "available",
    chgcar_method: str = "fourier",
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Store:
    """Compute pattern, composition and CMED of every crystal into one file, and open it.

    A file that was built from the same crystals and settings is opened as it is, and an interrupted one is
    continued. A crystal that fails is kept with its reason and without a split; the reasons are warned about
    once. It never stops the build.

    Args:
        splits: crystals by split name.
        path: of the file; one of other crystals or settings is replaced when the new one is whole.
        n: voxels an axis.
        density: 'promolecule'; 'dft', from each crystal's density file, without which it fails; or
            'available', from the file where there is one and promolecule elsewhere.
        chgcar_method: see `densities.chgcar_cmed`.
        workers: processes, by default one a core; with an executor, how many blocks it may be given at once.
        executor: where blocks are computed; by default a pool of processes on this machine. A Dask cluster's
            is `distributed.Client(...).get_executor()`.
        progress: show a progress bar.

    Raises:
        CrystalNetError: no crystals, no space on the disk, or a folder that can't be written.
    """
    path = Path(path)
    rows = [(split, crystal) for split, crystals in splits.items() for crystal in crystals]
    if not rows:
        raise CrystalNetError(
            "The data set would be empty. Choose a source or a filter that leaves crystals."
        )
    recipe = _recipe(rows, n, density, chgcar_method)
    if path.exists() and (same := _opened(path)) and same.recipe == recipe:
        return same
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (part.exists() and _recipe_of(part) == recipe):
            lay_out(part, rows, n, _density_source(rows, density), recipe)
        with Rows(part, "r+b") as file:
            jobs = _missing_blocks(part, file)
            blocks = _computed([c for _, c in rows], jobs, (n, density, chgcar_method), workers, executor)
            done = len(rows) - sum(len(job) for job in jobs)
            bar = tqdm(total=len(rows), initial=done, desc=path.stem, unit="crystal", disable=not progress)
            with bar:
                for job, result in blocks:
                    for i, values in zip(job, result, strict=True):
                        _write(file, i, *rows[i], *values)
                        bar.update()
            file.sync()
        os.replace(part, path)
    except BrokenExecutor as error:
        raise CrystalNetError(
            f"A process died while {path.name} was built ({error}), often for want of memory. Build again:"
            " it goes on from there; fewer workers need less."
        ) from None
    except OSError as error:
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space and build again: it goes on from there."
        ) from None
    store = Store(path)
    if failures := Counter(reason for reason in store.failures if reason):
        reasons = "; ".join(f"{count} x {reason}" for reason, count in failures.most_common())
        warnings.warn(
            f"{failures.total()} of {len(rows)} crystals could not be computed: {reasons}", stacklevel=2
        )
    return store


def _write(file: Rows, i: int, split: str, crystal: Crystal, pattern, cmed, reason: str) -> None:
    """A crystal's row, its checksum last."""
    if reason:
        file.write("failures", i, reason.encode()[:REASON])
    else:
        file.write("patterns", i, pattern)
        file.write("compositions", i, composition_vector(crystal.atoms))
        file.write("cmed", i, cmed)
    checksum = file.checksum(i, crystal_text(crystal).encode(), split.encode())
    file.write("checksums", i, np.frombuffer(checksum, np.uint8))


def _recipe(rows: list, n: int, density: str, chgcar_method: str) -> str:
    """Name of everything that makes a file."""
    digest = hashlib.sha256(f"{FORMAT} {n} {density} {chgcar_method}".encode())
    for split, crystal in rows:
        digest.update(f"{split} {crystal_text(crystal)}\n".encode())
    return digest.hexdigest()


def _opened(path: Path) -> Store | None:
    try:
        return Store(path)
    except CrystalNetError:
        return None


def _recipe_of(part: Path) -> str | None:
    try:
        return read_header(part).recipe
    except (OSError, ValueError):
        return None


def _density_source(rows: list, density: Density) -> str:
    if density != "available":
        return {"dft": "DFT", "promolecule": "promolecule"}[density]
    n_files = sum(crystal.density_file is not None for _, crystal in rows)
    return " and ".join(["DFT"] * (n_files > 0) + ["promolecule"] * (n_files < len(rows)))


def _missing_blocks(part: Path, file: Rows) -> list[range]:
    """Blocks of which a crystal is not done. A block is computed whole, since rounding may depend on it.

    Rows that were written but not kept, as after a power failure, are not done.
    """
    done = np.zeros(len(file), bool)
    for i, _, whole in checked_rows(part, progress=False, done_only=True):
        done[i] = whole
    starts = range(0, len(done), BLOCK)
    blocks = [range(start, min(start + BLOCK, len(done))) for start in starts]
    return [block for block in blocks if not done[block.start : block.stop].all()]


def _computed(
    crystals: list[Crystal],
    jobs: list[range],
    settings: tuple,
    workers: int | None,
    executor: Executor | None,
) -> Iterator[tuple[range, list]]:
    """(block, result) in the order they finish; memory is bounded by two blocks a worker."""
    workers = workers or n_cores()
    if executor is None and min(workers, len(jobs) // START) <= 1:
        yield from ((job, compute_block([crystals[i] for i in job], *settings)) for job in jobs)
        return
    own = None
    if executor is None:
        from loky import ProcessPoolExecutor  # unlike the standard one it works from notebooks and scripts

        executor = own = ProcessPoolExecutor(workers, env={"OMP_NUM_THREADS": "1"})
    waiting: dict = {}
    try:
        queue = iter(jobs)
        while True:
            while len(waiting) < 2 * workers and (job := next(queue, None)) is not None:
                waiting[executor.submit(compute_block, [crystals[i] for i in job], *settings)] = job
            if not waiting:
                break
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                job = waiting.pop(future)
                yield job, future.result()
    finally:
        for future in waiting:
            future.cancel()
        if own:
            own.shutdown(wait=True, kill_workers=True)


def compute_block(crystals: list[Crystal], n: int, density: Density, chgcar_method: str) -> list[tuple]:
    """(pattern float32, cmed float16, '') of each crystal, or (None, None, why not).

    On one thread: the order of summation, and with it the last bit, depends on their number.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _block(crystals, n, density, chgcar_method)
    finally:
        torch.set_num_threads(threads)


def _block(crystals: list[Crystal], n: int, density: Density, chgcar_method: str) -> list[tuple]:
    results: list[tuple] = [(None, None, "")] * len(crystals)
    cells: dict[int, tuple[Atoms, np.ndarray | None]] = {}
    for i, crystal in enumerate(crystals):
        try:
            cells[i] = crystal.symmetrized, _density_from_file(crystal, n, density, chgcar_method)
        except CrystalNetError as error:
            results[i] = None, None, str(error)
    patterns = powder_patterns([cell for cell, _ in cells.values()]).numpy()
    superposed = [i for i, (_, cmed) in cells.items() if cmed is None]
    cmeds = dict(
        zip(superposed, promolecule_cmeds([crystals[i].atoms for i in superposed], n).numpy(), strict=True)
    )
    for (i, (_, from_file)), pattern in zip(cells.items(), patterns, strict=True):
        cmed = cmeds[i] if from_file is None else from_file
        if np.abs(cmed).max() > np.finfo(np.float16).max:
            reason = "the density has spikes above 65504 e/Å^3, as all-electron files do near the nuclei"
            results[i] = None, None, reason
        else:
            results[i] = pattern, cmed.astype(np.float16), ""
    return results


def _density_from_file(crystal: Crystal, n: int, density: Density, chgcar_method: str) -> np.ndarray | None:
    if density == "promolecule" or (density == "available" and not crystal.density_file):
        return None
    if not crystal.density_file:
        raise CrystalNetError("There is no density file. Set data.density to 'available' or 'promolecule'.")
    return cmed_from_file(crystal.density_file, n, chgcar_method)
