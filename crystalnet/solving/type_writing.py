"""Structure types to disk, as `structure_types` reads them.

>>> from crystalnet.physics.atoms import Atoms
>>> from crystalnet.solving.clusters import fitted_types
>>> from crystalnet.solving.structure_types import TypeFile
>>> import tempfile
>>> places = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
>>> pairs = [["Na", "Cl"], ["Mg", "O"]]
>>> salts = [(pair[0], Atoms(2.82 * (1 - np.eye(3)), places, np.array(pair))) for pair in pairs]
>>> with tempfile.TemporaryDirectory() as folder:
...     write(Path(folder) / "types.safetensors", in_order(fitted_types(salts)))
...     len(TypeFile(Path(folder) / "types.safetensors"))
1
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from crystalnet.data.leakage import Formula
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.structure_types import ELEMENTS, LOWER, PLACES, VERSION, fingerprint

DTYPES = {
    "space_group": np.uint8,
    "cell": np.float32,
    "strain_spread": np.float16,
    "n_compounds": np.uint32,
    "site_role": np.uint8,
    "site_letter": np.uint8,
    "site_place": np.uint16,
    "site_spread": np.float16,
    "element_role": np.uint8,
    "element_number": np.uint8,
    "element_count": np.uint32,
}


def write(
    path: Path,
    types: Iterable[FittedType],
    names: Mapping[int, str] | None = None,
    fitted_to: Iterable[tuple[Formula, int]] = (),
    **about: str,
) -> None:
    """Keep types, the whole file or nothing.

    Args:
        types: by rising amounts, those of a formula with the most frequent first. They are taken one by one,
            and 200 bytes or so of each stay in memory.
        names: of some of them, by their place.
        fitted_to: formula and space group of the crystals.
        about: texts of the file's header: source, licence.

    Raises:
        CrystalNetError: the file cannot be written.
    """
    columns = {name: bytearray() for name in DTYPES}
    counted: Counter[tuple[int, ...]] = Counter()
    firsts = {"first_site": [0], "first_element": [0]}
    for one in types:
        counted[one.amounts] += 1
        elements = [
            (role, ATOMIC_NUMBERS[symbol], count)
            for role, counts in enumerate(one.elements)
            for symbol, count in counts.most_common()
        ]
        firsts["first_site"].append(firsts["first_site"][-1] + len(one.roles))
        firsts["first_element"].append(firsts["first_element"][-1] + len(elements))
        rows = {
            "space_group": one.space_group,
            "cell": one.lattice[LOWER],
            "strain_spread": one.strain_spread,
            "n_compounds": one.n_compounds,
            "site_role": one.roles,
            "site_letter": list(map(ord, one.letters)),
            "site_place": np.round(one.coords * PLACES).astype(int) % PLACES,
            "site_spread": one.spread,
            **dict(zip(ELEMENTS, zip(*elements, strict=True), strict=True)),
        }
        for name, values in rows.items():
            columns[name] += np.asarray(values, DTYPES[name]).tobytes()
    if list(counted) != sorted(counted):
        raise ValueError("types are written by rising amounts")
    padded = np.zeros((len(counted), max(map(len, counted), default=1)), np.uint16)
    for row, amounts in zip(padded, counted, strict=True):
        row[: len(amounts)] = amounts
    arrays = {
        "amounts": padded,
        "first_type": np.cumsum([0, *counted.values()], dtype=np.int64),
        **{name: np.array(first, np.int64) for name, first in firsts.items()},
        **{name: np.frombuffer(columns[name], dtype) for name, dtype in DTYPES.items()},
        "fitted_to": np.unique(np.array([fingerprint(*one) for one in fitted_to], np.uint64)),
    }
    for name, width in {"cell": 6, "strain_spread": 6, "site_place": 3}.items():
        arrays[name] = arrays[name].reshape(-1, width)
    header = {
        "about": json.dumps({"version": VERSION, "names": names or {}, **about})
    }  # one: their order varies
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, part, header)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space, or choose another folder.",
            Code.NOT_WRITTEN,
        ) from None


def in_order(types: Iterable[FittedType]) -> list[FittedType]:
    """As `write` takes them."""
    return sorted(types, key=lambda one: (one.amounts, -one.n_compounds))
