"""One HDF5 file a data set: built in parallel with a progress bar, read without loading it.

crystals      (N,) JSON          material, structure, space group, source
split         (N,) text          train, val, test; '' where the crystal could not be computed
patterns      (N, 1024) float32
compositions  (N, 118) float32
cmed          (N, n, n, n) float16, e/Å^3, contiguous: mapped, so that any voxel is one seek away
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections import Counter
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal, composition_vector
from crystalnet.errors import CrystalNetError
from crystalnet.hardware import n_cores
from crystalnet.physics.density import GRID, chgcar_cmed, promolecule_cmed
from crystalnet.physics.diffraction import N_BINS, powder_pattern

FORMAT = 1


class Store:
    """A data-set file, open for reading.

    Attributes:
        path: the file.
        n: voxels an axis.
        digest: SHA-256 over patterns, compositions and densities in order: the name of this data.

    Raises:
        CrystalNetError: no such file, or one that is not a whole data set.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            with h5py.File(self.path, "r") as file:
                if file.attrs["format"] != FORMAT:
                    raise CrystalNetError(
                        f"{path} has data format {file.attrs['format']}, this version reads {FORMAT}."
                        " Delete it: it is built again."
                    )
                self.digest = str(file.attrs["digest"])
                self.density_source = str(file.attrs["density_source"])
                self.split = file["split"].asstr()[:]
                self.patterns = file["patterns"][:]
                self.compositions = file["compositions"][:]
                self.n = file["cmed"].shape[1]
                self._mapping = file["cmed"].shape, file["cmed"].id.get_offset()
        except FileNotFoundError:
            raise CrystalNetError(f"There is no data set {path}. Build it first (chapter 1).") from None
        except (OSError, KeyError) as error:
            raise CrystalNetError(
                f"{path} is not a whole data set ({error}). Delete it and build it again (chapter 1)."
            ) from None

    def __len__(self) -> int:
        return len(self.split)

    @cached_property
    def crystals(self) -> list[Crystal]:
        with h5py.File(self.path, "r") as file:
            return [Crystal.from_dict(json.loads(row)) for row in file["crystals"].asstr()[:]]

    @cached_property
    def cmed(self) -> np.ndarray:
        """(N, n, n, n) float16, e/Å^3, mapped from the file: only what is read is loaded."""
        shape, offset = self._mapping
        return np.memmap(self.path, dtype="<f2", mode="r", offset=offset, shape=shape)

    def indices(self, split: str, most: int | None = None) -> np.ndarray:
        """Rows of a split, the first `most` of them."""
        return np.flatnonzero(self.split == split)[:most]

    def densities(self, rows: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """Densities (B, P) float32 of crystals `rows` (B,) at flat voxel indices `voxels` (B, P)."""
        flat = self.cmed.reshape(len(self), -1)
        return flat[np.asarray(rows)[:, None], voxels].astype(np.float32)


def build_store(
    splits: dict[str, list[Crystal]],
    path,
    n: int = GRID,
    chgcar_method: str = "fourier",
    workers: int | None = None,
    progress: bool = True,
) -> Store:
    """Compute pattern, composition and CMED of every crystal into one file, and open it.

    A crystal that brings a CHGCAR takes its density from it, any other is a promolecule. One that fails is
    kept without a split, and the reasons are warned about once; it never stops the build. The file appears
    under its name when it is whole.

    Args:
        splits: crystals by split name.
        path: of the file; an existing one is replaced.
        workers: processes, by default one a core.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    rows = [(split, crystal) for split, crystals in splits.items() for crystal in crystals]
    if not rows:
        raise CrystalNetError(
            "The data set would be empty. Choose a source or a filter that leaves crystals."
        )
    digest, failures = hashlib.sha256(), Counter()
    jobs = (delayed(_pattern_and_cmed)(crystal, n, chgcar_method) for _, crystal in rows)
    results = Parallel(n_jobs=workers or n_cores(), return_as="generator")(jobs)
    try:
        with h5py.File(part, "w") as file:
            patterns = file.create_dataset("patterns", (len(rows), N_BINS), "f4")
            compositions = file.create_dataset("compositions", (len(rows), 118), "f4")
            cmed = file.create_dataset("cmed", (len(rows), n, n, n), "<f2")
            split_names = []
            bar = tqdm(results, total=len(rows), desc=path.stem, unit="crystal", disable=not progress)
            for i, ((split, crystal), result) in enumerate(zip(rows, bar, strict=True)):
                if isinstance(result, str):
                    failures[result] += 1
                    split_names.append("")
                    continue
                patterns[i], cmed[i] = result
                compositions[i] = composition_vector(crystal.structure)
                split_names.append(split)
                for part_of_row in (*result, compositions[i]):
                    digest.update(np.ascontiguousarray(part_of_row))
            file["crystals"] = [json.dumps(crystal.as_dict()) for _, crystal in rows]
            file["split"] = split_names
            sources = Counter("CHGCAR" if crystal.chgcar else "promolecule" for _, crystal in rows)
            file.attrs["density_source"] = " and ".join(sources)
            file.attrs["digest"] = digest.hexdigest()
            file.attrs["format"] = FORMAT
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space and build again."
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, path)
    if failures:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in failures.most_common())
        warnings.warn(
            f"{failures.total()} of {len(rows)} crystals could not be computed: {reasons}", stacklevel=2
        )
    return Store(path)


def _pattern_and_cmed(crystal: Crystal, n: int, chgcar_method: str):
    """(pattern float32, cmed float16) of one crystal, or the reason why not."""
    try:
        if crystal.chgcar:
            cmed = chgcar_cmed(crystal.chgcar, n, chgcar_method)
        else:
            cmed = promolecule_cmed(crystal.structure, n)
        if np.abs(cmed).max() > np.finfo(np.float16).max:
            return "the density has spikes above 65504 e/Å^3, as all-electron files do near the nuclei"
        return powder_pattern(crystal.symmetrized), cmed.astype(np.float16)
    except CrystalNetError as error:
        return str(error)
