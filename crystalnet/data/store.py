"""A data set, open for reading: mapped from its file, not loaded (see `layout` for what the file holds)."""

from __future__ import annotations

import hashlib
import json
import mmap
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from crystalnet.data.crystals import Crystal
from crystalnet.data.layout import FORMAT, checked_rows, read_header
from crystalnet.errors import Code, CrystalNetError

ALTERED = "altered"  # the split of training crystals' altered copies (see `variations`)


class Store:
    """A data-set file, open for reading.

    Attributes:
        path: the file.
        n: voxels an axis.
        digest: SHA-256 over the checksums in order: the name of this data and of its split.
        density_source: 'promolecule', 'DFT', or both.
        split: (N,) 'train', 'val', 'test' or 'altered'; '' where the crystal could not be computed.
        patterns (N, 1024), profiles (N, 768), compositions (N, 118), cmed (N, n, n, n): mapped from the file,
            so that only what is read is loaded; the densities are float16, e/Å^3.

    Raises:
        CrystalNetError: no such file, or one that is not a whole data set.

    >>> import tempfile
    >>> from crystalnet.data.building import build_store
    >>> from crystalnet.data.prototypes import library_crystals
    >>> splits = {"train": library_crystals()[:2], "test": library_crystals()[2:3]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = build_store(splits, f"{folder}/three.h5", n=14, workers=1, progress=False)
    ...     Store(store.path).verify(progress=False)
    ...     store.check([0])
    ...     store.indices("test"), len(store.crystals), store.failures, len(store.digest)
    (array([2]), 3, ['', '', ''], 64)
    >>> store.patterns.shape, store.profiles.shape, store.compositions.shape, store.cmed.dtype
    ((3, 1024), (3, 768), (3, 118), dtype('float16'))
    >>> store.densities(np.array([0]), np.array([[0, 1]])).shape
    (1, 2)
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            header = read_header(self.path)
            if header.format != FORMAT:
                raise CrystalNetError(
                    f"{path} has data format {header.format}, this version reads {FORMAT}."
                    " Delete it: it is built again.",
                    Code.OTHER_SETTINGS,
                )
            with h5py.File(self.path, "r") as file:
                self.split = file["split"].asstr()[:]
        except FileNotFoundError:
            raise CrystalNetError(
                f"There is no data set {path}. Build it first (chapter 1).", Code.FILE_MISSING
            ) from None
        except (OSError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, CrystalNetError):
                raise
            raise CrystalNetError(
                f"{path} is not a whole data set ({error}). Delete it and build it again (chapter 1).",
                Code.DAMAGED,
            ) from None
        self.recipe, self.density_source = header.recipe, header.density_source
        self._arrays = {
            name: np.memmap(path, array.dtype, "c", array.offset, array.shape)  # torch wants them writable
            for name, array in header.arrays.items()
        }
        self._cmed = header.arrays["cmed"]
        self.n = self.cmed.shape[1]
        self.split[self._arrays["failures"] != b""] = ""
        self._agrees = np.zeros(len(self), bool)  # crystals that were compared with their checksums

    def __len__(self) -> int:
        return len(self.split)

    @property
    def patterns(self) -> np.ndarray:
        return self._arrays["patterns"]

    @property
    def profiles(self) -> np.ndarray:
        return self._arrays["profiles"]

    @property
    def compositions(self) -> np.ndarray:
        return self._arrays["compositions"]

    @property
    def cmed(self) -> np.ndarray:
        return self._arrays["cmed"]

    @property
    def failures(self) -> list[str]:
        """Why a crystal could not be computed, (N,), empty if it could."""
        return [reason.decode(errors="replace") for reason in self._arrays["failures"].tolist()]

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self._arrays["checksums"].tobytes()).hexdigest()

    @cached_property
    def crystals(self) -> list[Crystal]:
        """All crystals in order; a `density_file` is its name alone."""
        with h5py.File(self.path, "r") as file:
            return [Crystal.from_dict(json.loads(row)) for row in file["crystals"].asstr()[:]]

    def indices(self, split: str, most: int | None = None) -> np.ndarray:
        """Rows of a split, the first `most` of them."""
        return np.flatnonzero(self.split == split)[:most]

    def densities(self, rows: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """Densities (B, P) float32 of crystals `rows` (B,) at flat voxel indices `voxels` (B, P).

        Raises:
            CrystalNetError: a crystal changed since the file was built, see `check`.
        """
        self.check(rows)
        self._announce(rows)
        flat = self.cmed.reshape(len(self), -1)
        chosen = np.empty(np.shape(voxels), np.float16)
        for out, row, where in zip(chosen, rows, voxels, strict=True):
            np.take(flat[row], where, out=out, mode="clip")  # a crystal at a time stays in cache
        return chosen.astype(np.float32)

    def _announce(self, rows: np.ndarray) -> None:
        """Let the system read the densities of `rows` from the disk at once, not page by page on demand."""
        mapping = self.cmed.base
        if not hasattr(mapping, "madvise"):  # Windows
            return
        offset = self._cmed.offset % mmap.ALLOCATIONGRANULARITY - self._cmed.offset  # of the mapping
        for row in rows:
            start, size = self._cmed.row(int(row))
            start += offset
            aligned = start - start % mmap.PAGESIZE
            mapping.madvise(mmap.MADV_WILLNEED, aligned, start + size - aligned)

    def verify(self, progress: bool = True) -> None:
        """Read every byte and compare it with the checksums.

        Raises:
            CrystalNetError: something changed since the file was built; names the crystals.
        """
        self._compare(None, progress)

    def check(self, rows: np.ndarray) -> None:
        """Compare crystals `rows` with their checksums, each once; what reads arrays asks for it.

        Raises:
            CrystalNetError: see `verify`.
        """
        rows = np.asarray(rows)
        if not (known := self._agrees[rows]).all():
            self._compare(np.unique(rows[~known]).tolist(), progress=False)

    def _compare(self, chosen: list[int] | None, progress: bool) -> None:
        try:
            damaged = [
                f"{name} (row {i})"
                for i, name, whole in checked_rows(self.path, progress, chosen=chosen)
                if not whole
            ]
        except (OSError, ValueError) as error:
            damaged = [str(error)]
        if damaged:
            more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
            raise CrystalNetError(
                f"{self.path} changed since it was built: {', '.join(damaged[:5])}{more}. Delete the file and"
                " build it again (chapter 1).",
                Code.DAMAGED,
            )
        self._agrees[slice(None) if chosen is None else chosen] = True
