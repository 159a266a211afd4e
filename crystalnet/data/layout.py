"""The file of a data set: HDF5, checksummed crystal by crystal.

crystals      (N,) JSON          material, atoms, space group, source
split         (N,) text          train, val, test
failures      (N,) text          why a crystal could not be computed, empty if it could
patterns      (N, 1024) float32
profiles      (N, 768) float32
compositions  (N, 118) float32
cmed          (N, n, n, n) float16, e/Å^3
checksums     (N, 32) bytes      SHA-256 over the crystal's row of all the others

From `failures` on all is contiguous and uncompressed, so that it can be mapped: any voxel is one seek away.
A block before the HDF5 part tells where these arrays lie, and the SHA-256 of every byte outside of them:
damage is found before it misleads the HDF5 library.

>>> import tempfile
>>> from crystalnet.data.prototypes import library_crystals
>>> crystal = library_crystals()[0]
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "one.h5"
...     lay_out(path, [("train", crystal)], n=14, density_source="promolecule", recipe="")
...     cmed = read_header(path).arrays["cmed"]
...     with Rows(path, "r+b") as rows:
...         rows.write("cmed", 0, np.ones((14, 14, 14)))  # as float16
...         rows.sync()
...         rows.read("cmed", 0)[:2].hex(), cmed.row(0)[1], cmed.end - cmed.offset
...         text = crystal_text(crystal).encode()
...         len(rows.checksum(0, text, b"train")), len(list(checked_rows(path, progress=False)))
('003c', 5488, 5488)
(32, 1)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.diffraction import N_BINS
from crystalnet.physics.profiles import N_LOG_BINS

FORMAT = 3
HEADER_SIZE = 4096  # bytes before the HDF5 part, which HDF5 calls the user block
REASON = 200  # bytes kept of the reason why a crystal failed
CHUNK = 1000  # crystals written at once, our choice


def lay_out(
    path: Path, rows: Sequence[tuple[str, Crystal]], n: int, density_source: str, recipe: str
) -> None:
    """Write a file that lacks nothing but the arrays' content, and take its place on the disk.

    Args:
        path: of the file; it appears when it is laid out.
        rows: split and crystal.
        n: voxels an axis.
        density_source, recipe: see `Store`.

    Raises:
        CrystalNetError: the disk has no space for it.
    """
    started = path.with_name(path.name + ".new")
    shapes = {
        "failures": (f"S{REASON}", (len(rows),)),
        "patterns": ("<f4", (len(rows), N_BINS)),
        "profiles": ("<f4", (len(rows), N_LOG_BINS)),
        "compositions": ("<f4", (len(rows), 118)),
        "cmed": ("<f2", (len(rows), n, n, n)),
        "checksums": ("u1", (len(rows), 32)),
    }
    needed = sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for dtype, shape in shapes.values())
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise CrystalNetError(
            f"{path} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Free disk space, or choose"
            " another folder or fewer crystals.",
            Code.TOO_LARGE,
        )
    with h5py.File(started, "w", userblock_size=HEADER_SIZE) as file:
        crystals = file.create_dataset("crystals", len(rows), h5py.string_dtype())
        for start in range(0, len(rows), CHUNK):
            crystals[start : start + CHUNK] = [crystal_text(c) for _, c in rows[start : start + CHUNK]]
        file["split"] = [split for split, _ in rows]
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # the file system's own zeros
        early.set_obj_track_times(False)  # same content, same bytes
        for name, (dtype, shape) in shapes.items():
            space = h5py.h5s.create_simple(shape)
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, early)
        arrays = {n: Array(file[n].id.get_offset(), shape, dtype) for n, (dtype, shape) in shapes.items()}
    outside = _outside(started, arrays)
    header = json.dumps(Header(FORMAT, recipe, density_source, arrays, outside)).encode()
    if len(header) + 2 * 32 > HEADER_SIZE:
        raise ValueError(f"a header of {len(header)} bytes does not fit its block")
    header = header.ljust(HEADER_SIZE - 2 * 32)
    with started.open("r+b") as file:
        file.write(hashlib.sha256(header).hexdigest().encode() + header)
    if hasattr(os, "posix_fallocate"):  # a hole in a file on a full disk would end the process
        with started.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(started))
    os.replace(started, path)


def crystal_text(crystal: Crystal) -> str:
    """A crystal as the file keeps it; of a density file the name alone, so that folders change nothing."""
    facts = crystal.as_dict()
    facts["density_file"] = crystal.density_file.name if crystal.density_file else None
    return json.dumps(facts)


class Array(NamedTuple):
    """Where an array lies in the file: offset in bytes, shape and type."""

    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def end(self) -> int:
        return self.offset + int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def row(self, i: int) -> tuple[int, int]:
        """Offset and number of bytes of row i."""
        size = (self.end - self.offset) // self.shape[0]
        return self.offset + i * size, size


class Header(NamedTuple):
    """What stands before the HDF5 part; `outside` is the SHA-256 of the bytes outside block and arrays."""

    format: int
    recipe: str
    density_source: str
    arrays: dict[str, Array]
    outside: str


def read_header(path: Path) -> Header:
    """The header of a file that is laid out, finished or not.

    Raises:
        OSError: no such file, or it can't be read.
        ValueError: it is not one of ours, or bytes outside the arrays changed since it was laid out.
    """
    with path.open("rb") as file:
        block = file.read(HEADER_SIZE)
    if hashlib.sha256(block[64:]).hexdigest().encode() != block[:64]:
        raise ValueError("its header is damaged or missing")
    header = Header(*json.loads(block[64:]))
    if header.format == FORMAT:
        header = header._replace(arrays={name: Array(*where) for name, where in header.arrays.items()})
        if _outside(path, header.arrays) != header.outside:
            raise ValueError("its table of contents or of crystals changed since it was built")
    return header


def _outside(path: Path, arrays: dict[str, Array]) -> str:
    """SHA-256 over every byte outside block and arrays: crystals, splits, HDF5's own tables."""
    digest = hashlib.sha256()
    spans = sorted((array.offset, array.end) for array in arrays.values())
    with path.open("rb") as file:
        start = HEADER_SIZE
        for low, high in [*spans, (os.path.getsize(path), 0)]:
            file.seek(start)
            while start < low:
                start += len(chunk := file.read(min(low - start, 1 << 20)))
                digest.update(chunk)
                if not chunk:
                    raise ValueError("it is shorter than it says")
            start = high
    return digest.hexdigest()


class Rows:
    """The arrays of a data-set file row by row. Not mapped: however long the file, memory stays the same."""

    def __init__(self, path: Path, mode: str = "rb"):
        self.arrays = read_header(path).arrays
        self._file = path.open(mode, buffering=0)

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self.arrays["checksums"].shape[0]

    def read(self, name: str, i: int) -> bytes:
        """Row i of an array."""
        offset, size = self.arrays[name].row(i)
        self._file.seek(offset)
        content = self._file.read(size)
        if len(content) < size:
            raise ValueError("it is shorter than it says")
        return content

    def write(self, name: str, i: int, values: ArrayLike) -> None:
        """Row i of an array, converted to the array's type."""
        offset, size = self.arrays[name].row(i)
        content = np.asarray(values, self.arrays[name].dtype).tobytes()
        if len(content) != size:
            raise ValueError(f"{len(content)} bytes do not fit a row of {size}")
        self._file.seek(offset)
        self._file.write(content)

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        os.fsync(self._file.fileno())

    def checksum(self, i: int, text: bytes, split: bytes) -> bytes:
        """SHA-256 over everything the file holds of crystal i."""
        digest = hashlib.sha256(text + b"\0" + split + b"\0")
        for name in ("failures", "patterns", "profiles", "compositions", "cmed"):
            digest.update(self.read(name, i))
        return digest.digest()


def checked_rows(
    path: Path, progress: bool, done_only: bool = False, chosen: Sequence[int] | None = None
) -> Iterator[tuple[int, str, bool]]:
    """(row, material_id, whether it agrees with its checksum) for each crystal, of those that are done or are
    chosen."""
    with h5py.File(path, "r") as file, Rows(path) as rows:
        texts, splits = file["crystals"], file["split"]
        asked = range(len(rows)) if chosen is None else chosen
        bar = tqdm(asked, f"Checking {path.name}", unit="crystal", delay=1, disable=not progress)
        for i in bar:
            stated = rows.read("checksums", i)
            if done_only and not any(stated):
                continue
            text = texts[i]
            try:
                name = json.loads(text)["material_id"]
            except (ValueError, KeyError, TypeError):
                name = "an unreadable crystal"
            yield i, name, rows.checksum(i, text, splits[i]) == stated
