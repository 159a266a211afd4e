"""What comes with the package besides code: weights and fitted tables, with their checksums and licences."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

PACKAGE = Path(__file__).parents[1]
PROJECT = "CC BY 4.0, Materials Project"
TABLES = {  # file: what it holds, licence of what it was made from
    "solving/structure_types.safetensors": (
        "structure types, means of two or more compounds",
        PROJECT,
    ),
    "lattice/volumes.json": ("volumes of the elements in compounds", PROJECT),
    "physics/tables/form_factors.json": ("X-ray form factors", "MIT, pymatgen"),
    "physics/tables/valence.json": ("valence densities of free atoms", "MIT, made here"),
}
WEIGHTS = "MIT; training crystals CC BY 4.0, Materials Project"


def shipped() -> pd.DataFrame:
    """A row a file: what it holds, size in MB, licence, SHA-256.

    >>> table = shipped()
    >>> table.loc["weights/cubic.safetensors", "holds"]
    'network cubic'
    >>> len(table.loc["lattice/volumes.json", "SHA-256"]), bool(table["MB"].sum() < 40)
    (64, True)
    """
    networks = sorted((PACKAGE / "weights").glob("*.safetensors"))
    about = {f"weights/{path.name}": (f"network {path.stem}", WEIGHTS) for path in networks} | TABLES
    rows = {
        name: {
            "holds": holds,
            "MB": round((PACKAGE / name).stat().st_size / 1e6, 3),
            "licence": licence,
            "SHA-256": hashlib.sha256((PACKAGE / name).read_bytes()).hexdigest(),
        }
        for name, (holds, licence) in about.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("file")
