"""Building a data set: in blocks of crystals, by many processes, resumable after a kill at any moment.

The file is laid out in full and checked to fit on the disk before the first crystal is computed. A crystal
counts as done once its checksum is written, which is the last thing written of it; what was not done is
computed again. The file gets its name when it is whole. Same crystals, same bytes, however often it stopped.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from crystalnet.data.blocks import Density, compute_block
from crystalnet.data.crystals import Crystal, composition_vector
from crystalnet.data.layout import FORMAT, REASON, Rows, checked_rows, crystal_text, lay_out, read_header
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.hardware import n_cores
from crystalnet.physics.density import GRID

BLOCK = 32  # crystals computed together, our choice: 8 MB of densities, half a second of work
START = 5  # blocks that are computed while a process starts


def build_store(
    splits: dict[str, Sequence[Crystal]],
    path: str | Path,
    n: int = GRID,
    density: Density = "available",
    chgcar_method: str = "fourier",
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Store:
    """Compute pattern, profile, composition and CMED of every crystal into one file, and open it.

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

    >>> import tempfile
    >>> from crystalnet.data.prototypes import library_crystals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train = library_crystals()[:2]
    ...     store = build_store({"train": train}, f"{folder}/two.h5", n=14, workers=1, progress=False)
    ...     store.cmed.shape, store.patterns.shape, store.failures
    ((2, 14, 14, 14), (2, 1024), ['', ''])
    """
    path = Path(path)
    rows = [(split, crystal) for split, crystals in splits.items() for crystal in crystals]
    if not rows:
        raise CrystalNetError(
            "The data set would be empty. Choose a source or a filter that leaves crystals.",
            Code.NOTHING_LEFT,
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
                        _write(file, i, rows[i], values)
                        bar.update()
            file.sync()
        os.replace(part, path)
    except BrokenExecutor as error:
        raise CrystalNetError(
            f"A process died while {path.name} was built ({error}), often for want of memory. Build again:"
            " it goes on from there; fewer workers need less.",
            Code.PROCESS_DIED,
        ) from None
    except OSError as error:
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space and build again: it goes on from there.",
            Code.NOT_WRITTEN,
        ) from None
    store = Store(path)
    if failures := Counter(reason for reason in store.failures if reason):
        reasons = "; ".join(f"{count} x {reason}" for reason, count in failures.most_common())
        warnings.warn(
            f"{failures.total()} of {len(rows)} crystals could not be computed: {reasons}", stacklevel=2
        )
    return store


def _write(file: Rows, i: int, row: tuple[str, Crystal], computed: tuple) -> None:
    """A crystal's row, its checksum last. `computed`: as `compute_block` returns it."""
    (split, crystal), (pattern, profile, cmed, reason) = row, computed
    if reason:
        file.write("failures", i, reason.encode()[:REASON])
    else:
        file.write("patterns", i, pattern)
        file.write("profiles", i, profile)
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

        executor = own = ProcessPoolExecutor(
            workers, env={"OMP_NUM_THREADS": "1"}, initializer=_end_with, initargs=(os.getpid(),)
        )
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


def _end_with(parent: int) -> None:
    """In a worker: end when the process that started it was killed, instead of waiting for it for ever."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
