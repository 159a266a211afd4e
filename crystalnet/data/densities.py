"""Densities from files: a VASP CHGCAR (`chgcar`), or an .npz file that holds a CMED with its crystal.

>>> import tempfile
>>> cubic = Atoms(3.35 * np.eye(3), np.zeros((1, 3)), np.array(["Po"]))
>>> with tempfile.TemporaryDirectory() as folder:
...     write_cmed(f"{folder}/po.npz", np.full((8, 8, 8), 0.5), cubic)
...     cmed, atoms = read_cmed(f"{folder}/po.npz")
...     cmed.shape, atoms.symbols.tolist(), cmed_from_file(f"{folder}/po.npz", n=8).mean()
((8, 8, 8), ['Po'], np.float64(0.5))
"""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from crystalnet.data.chgcar import MAX_POINTS, chgcar_cmed
from crystalnet.data.crystals import Crystal
from crystalnet.errors import Code, CrystalNetError, writing
from crystalnet.physics.atoms import Atoms, AtomsLike
from crystalnet.physics.density import GRID

SAME_CELL = 0.02  # Å, our choice: two relaxations of one crystal


def cmed_from_file(path: str | Path, n: int = GRID, method: str = "fourier") -> np.ndarray:
    """CMED (n, n, n) float64, e/Å^3, of a CHGCAR (`chgcar_cmed`) or an .npz file (`read_cmed`).

    Raises:
        CrystalNetError: the file is not whole, or an .npz file has another grid.
    """
    path = Path(path)
    if path.suffix != ".npz":
        return chgcar_cmed(path, n, method)
    cmed, _ = read_cmed(path)
    if cmed.shape != (n, n, n):
        raise CrystalNetError(
            f"{path.name} has {cmed.shape[0]} voxels an axis, not {n}. Set data.n_grid to {cmed.shape[0]}.",
            Code.BAD_DENSITY,
        )
    return cmed.astype(float)


def write_cmed(path: str | Path, cmed: np.ndarray, structure: AtomsLike) -> None:
    """Write a CMED (e/Å^3, kept as float16) with its crystal to an .npz file, whole or not at all.

    The same content gives the same bytes.
    """
    atoms = Atoms.of(structure)
    if not np.isfinite(cmed).all() or np.abs(cmed).max() > np.finfo(np.float16).max:
        raise CrystalNetError(
            "The density is not finite or has spikes above 65504 e/Å^3, as all-electron files have near the"
            " nuclei. Take the valence density.",
            Code.BAD_DENSITY,
        )
    arrays = {
        "rho": cmed.astype(np.float16),
        "lattice": atoms.lattice,
        "frac_coords": atoms.frac_coords,
        "species": atoms.symbols,
    }
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with writing(path), zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    with writing(path):
        os.replace(part, path)


def read_cmed(path: str | Path) -> tuple[np.ndarray, Atoms]:
    """CMED (n, n, n) float16, e/Å^3, and crystal of an .npz file with the keys of `write_cmed`.

    Raises:
        CrystalNetError: no such file, or one that is cut, foreign or not finite.
    """
    try:
        _check_unpacked(path)
        with np.load(path, allow_pickle=False) as file:
            rho = file["rho"]
            atoms = Atoms(
                np.array(file["lattice"], float), np.array(file["frac_coords"], float), file["species"]
            )
    except FileNotFoundError:
        raise CrystalNetError(f"There is no file {path}. Check the path.", Code.FILE_MISSING) from None
    except CrystalNetError:
        raise
    except Exception as error:  # zip, zlib and NumPy fail in many ways on a cut or foreign file
        raise CrystalNetError(
            f"{path} is not a whole density file ({type(error).__name__}: {error}). Fetch or write it again.",
            Code.FILE_UNREADABLE,
        ) from None
    n_atoms = len(atoms.symbols)
    if rho.ndim != 3 or atoms.lattice.shape != (3, 3) or atoms.frac_coords.shape != (n_atoms, 3):
        raise CrystalNetError(
            f"{path}: the arrays do not make a crystal with its density. Write it again.", Code.BAD_DENSITY
        )
    if not np.isfinite(rho).all():
        raise CrystalNetError(
            f"{path} holds values that are not finite numbers. Fetch or write it again.", Code.BAD_DENSITY
        )
    return rho, atoms


def _check_unpacked(path) -> None:
    """An .npz file says how large its arrays are; NumPy would take the memory before it looks."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > 8 * MAX_POINTS:
        raise CrystalNetError(
            f"{path} holds {size / 1e6:,.0f} MB after unpacking, more than a density of {MAX_POINTS:,}"
            " points. Write it on a coarser grid.",
            Code.TOO_LARGE,
        )


def density_files(folder: Path, crystals: Iterable[Crystal]) -> dict[str, Path]:
    """Files <material_id>.npz of a folder by material_id, where they hold the same cell as the crystal.

    One whose lattice or atoms lie off by more than SAME_CELL is not used, and warned of.

    Raises:
        CrystalNetError: there is none for any of the crystals.

    >>> import tempfile
    >>> from crystalnet.data.prototypes import library_crystals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     crystal = library_crystals()[0]
    ...     write_cmed(Path(folder) / f"{crystal.material_id}.npz", np.full((8, 8, 8), 0.5), crystal.atoms)
    ...     len(density_files(Path(folder), [crystal]))
    1
    """
    files, others = {}, []
    for crystal in crystals:
        path = Path(folder) / f"{crystal.material_id}.npz"
        if not path.exists():
            continue
        _, theirs = read_cmed(path)
        ours = crystal.atoms
        same = ours.symbols.tolist() == theirs.symbols.tolist()
        if same:
            apart = ours.frac_coords - theirs.frac_coords
            off = ours.lattice - theirs.lattice, (apart - np.round(apart)) @ ours.lattice
            same = max(np.abs(x).max() for x in off) < SAME_CELL
        if same:
            files[crystal.material_id] = path
        else:
            others.append(crystal.material_id)
    if others:
        warnings.warn(
            f"{folder}: {len(others)} densities have another cell: {', '.join(others)}", stacklevel=2
        )
    if not files:
        raise CrystalNetError(
            f"{folder} holds no density of these crystals. Name its files <material_id>.npz.",
            Code.FILE_MISSING,
        )
    return files
