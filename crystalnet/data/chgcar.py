"""VASP's densities: a CHGCAR to a CMED, its structure and its grid.

>>> head = ["po", "1.0", "3.35 0 0", "0 3.35 0", "0 0 3.35", "Po", "1", "Direct", "0 0 0"]
>>> lines = iter([*head, " ", "4 4 4"])
>>> len(list(chgcar_head(lines))), chgcar_grid(lines, "CHGCAR")
(9, (4, 4, 4))
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystalnet.data.checks import MAX_ATOMS
from crystalnet.data.text_files import lines_of
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.density import GRID

if TYPE_CHECKING:  # seconds to import
    from pymatgen.io.vasp import Chgcar

MAX_POINTS = 300**3  # of a grid, our choice: 0.1 Å in the largest cells, 200 MB
POINT = 80  # bytes a point has in a CHGCAR, four densities with spin-orbit coupling


def chgcar_cmed(chgcar: str | Path | Chgcar, n: int = GRID, method: str = "fourier") -> np.ndarray:
    """CMED of a VASP CHGCAR through mp-pyrho.

    Args:
        chgcar: a path (.gz allowed) or a pymatgen Chgcar.
        n: voxels an axis.
        method: 'fourier' interpolates by Fourier series, as the paper says: exact for a band-limited
            density and in the electron count. 'paper' does what its released code does: up-sampling by
            Fourier, 50 // min(grid) + 1 times, then linear interpolation, which loses or gains electrons
            where a density has spikes.

    Returns:
        (n, n, n) float64, e/Å^3.

    Raises:
        CrystalNetError: a file that is not a whole CHGCAR, or an unknown method.

    >>> from pymatgen.core import Lattice, Structure
    >>> from pymatgen.io.vasp import Chgcar, Poscar
    >>> cell = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])
    >>> chgcar = Chgcar(Poscar(cell), {"total": np.full((8, 8, 8), 6.0)})  # e, times the volume
    >>> round(float(chgcar_cmed(chgcar, n=10).mean() * cell.volume), 3)
    6.0
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     chgcar.write_file(f"{folder}/CHGCAR")
    ...     read_chgcar(f"{folder}/CHGCAR").dim
    (8, 8, 8)
    """
    from pyrho.charge_density import ChargeDensity
    from pyrho.utils import interpolate_fourier

    charge = ChargeDensity.from_pmg(read_chgcar(chgcar) if isinstance(chgcar, str | Path) else chgcar)
    if method == "fourier":
        return np.real(interpolate_fourier(charge.normalized_data["total"], [n, n, n]))
    if method == "paper":
        up_sample = n // min(charge.grid_shape) + 1
        return charge.get_transformed(np.eye(3), [n, n, n], up_sample=up_sample).normalized_data["total"]
    raise CrystalNetError(
        f"Unknown CHGCAR method {method!r}. Choose 'paper' or 'fourier'.", Code.BAD_ARGUMENT
    )


def read_chgcar(path: str | Path) -> Chgcar:
    """A pymatgen Chgcar from a file; anything but a whole, finite CHGCAR is one clear error."""
    from pymatgen.io.vasp import Chgcar

    _check_length(Path(path))
    try:
        chgcar = Chgcar.from_file(str(path))
    except FileNotFoundError:
        raise CrystalNetError(f"There is no file {path}. Check the path.", Code.FILE_MISSING) from None
    except Exception as error:  # the parser fails in many ways on a cut or foreign file
        raise CrystalNetError(
            f"{path} is not a whole CHGCAR ({type(error).__name__}: {error}). Fetch or write it again.",
            Code.FILE_UNREADABLE,
        ) from None
    if not np.isfinite(chgcar.data["total"]).all():
        raise CrystalNetError(
            f"{path} holds values that are not finite numbers. Fetch or write it again.", Code.BAD_DENSITY
        )
    return chgcar


def chgcar_head(lines: Iterator[str]) -> Iterator[str]:
    """The lines of a CHGCAR's structure, which a blank line ends; its title may be blank."""
    return islice(chain(islice(lines, 1), takewhile(str.strip, lines)), 50 + MAX_ATOMS)


def chgcar_grid(lines: Iterator[str], name: str) -> tuple[int, ...]:
    """The grid of a CHGCAR, from the line after its structure.

    Raises:
        CrystalNetError: no grid, or more than MAX_POINTS.
    """
    words = next(lines, "").split()
    if len(words) != 3 or not all(word.isdecimal() and len(word) < 10 for word in words):
        raise CrystalNetError(
            f"{name}: no density follows the structure. Fetch the whole CHGCAR.", Code.BAD_DENSITY
        )
    grid = tuple(map(int, words))
    if not 0 < np.prod(grid, dtype=float) <= MAX_POINTS:
        raise CrystalNetError(
            f"{name}: its grid is {' x '.join(words)}, which has no points or more than {MAX_POINTS:,}. Write"
            " the density on a coarser grid.",
            Code.TOO_LARGE,
        )
    return grid


def _check_length(path: Path) -> None:
    """A packed CHGCAR holds no more than its grid needs."""
    lines = lines_of(path, errors="replace")
    for _ in chgcar_head(lines):
        pass
    left = 10_000_000 + POINT * int(np.prod(chgcar_grid(lines, path.name)))
    for line in lines:
        left -= len(line)
        if left < 0:
            raise CrystalNetError(
                f"{path.name}: it is longer than a CHGCAR of its grid. Fetch or write it again.",
                Code.TOO_LARGE,
            )
