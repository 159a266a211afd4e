"""Fit the volumes that elements take: `python book/volumes.py`.

params/solving_cubic.yaml, params/solving_trigonal.yaml --training crystals-->
    crystalnet/lattice/volumes.json
"""

import json

import numpy as np

from crystalnet.lattice.volumes import FILE, fitted
from crystalnet.physics.tables import SYMBOLS
from crystalnet.runs.datasets import DataSets
from crystalnet.runs.params import Params
from crystalnet.runs.provenance import write_text

SYSTEMS = ("cubic", "trigonal")


def main() -> None:
    crystals = []
    for system in SYSTEMS:
        crystals += DataSets(Params.load(f"solving_{system}")).cleaned(system).splits["train"]
    seen = {symbol for crystal in crystals for symbol in crystal.atoms.symbols.tolist()}
    rows = dict(zip(SYMBOLS, fitted(crystals), strict=True))
    elements = {symbol: np.round(row, 3).tolist() for symbol, row in rows.items() if symbol in seen}
    header = {
        "quantity": "volume an atom, a + b (X - 2) + c (X - 2)^2, X the mean electronegativity of a crystal",
        "units": "a, b, c in cubic angstrom",
        "source": f"{len(crystals)} cubic and trigonal training crystals of the paper, Materials Project",
        "licence": "CC BY 4.0, Materials Project",
        "made_by": "book/volumes.py",
    }
    lines = ",\n".join(f"  {json.dumps(symbol)}: {json.dumps(row)}" for symbol, row in elements.items())
    head = "".join(f"{json.dumps(key)}: {json.dumps(text)},\n" for key, text in header.items())
    write_text(FILE, f'{{\n{head}"elements": {{\n{lines}\n}}\n}}\n')
    print(FILE)


if __name__ == "__main__":
    main()
