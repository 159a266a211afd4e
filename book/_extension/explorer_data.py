"""What the explorer of the pages is made of: the scripts in explorer/, and the data that they load on demand.

_static/explorer/data.js holds the package's weights, the crystals to explore and what is known of the
elements. It is a classic script that carries base64, since a page opened as a file may fetch nothing.
"""

import base64
import gzip
import json
import shutil
from pathlib import Path

import plotly.colors
from pymatgen.core import Lattice, Structure
from safetensors.numpy import save

from crystalnet.data.elements import element_properties
from crystalnet.model import library
from crystalnet.model.confidence import CONFIDENT
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.tables import SYMBOLS
from crystalnet.runs.provenance import write_text
from crystalnet.runs.showcase import NETWORK, read_showcase
from crystalnet.show import style

SOURCES = Path(__file__).parent / "explorer"
SCRIPTS = [  # a script needs those before it
    *("weights.js", "layers.js", "waves.js", "profile.js", "pattern.js", "composition.js", "similarity.js"),
    *("sampling.js", "model.js", "session.js", "slices.js", "strips.js", "surfaces.js", "explorer.js"),
]
STYLE = "explorer.css"
CU_K_ALPHA = 1.5406  # Å
STRONG, HIGH = 1.0, 140.0  # per cent and degrees: what a reader's list holds of the example, our choice


def write_explorer(folder: Path) -> float:
    """Put the scripts and their data into a folder; the size of the data in MB."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*SCRIPTS, STYLE):
        shutil.copy(SOURCES / name, folder)
    packed = {"weights": (library.FOLDER / f"{NETWORK}.safetensors").read_bytes(), "crystals": _crystals()}
    packed = {name: base64.b64encode(gzip.compress(part, mtime=0)).decode() for name, part in packed.items()}
    script = f"window.CrystalNet ??= {{}};\nCrystalNet.packed = {json.dumps(packed)};\n"
    write_text(folder / "data.js", script)
    return len(script) / 1e6


def _crystals() -> bytes:
    """Crystals and tables as a safetensors file, as the weights are: the scripts open both alike."""
    shown = read_showcase()
    names = ("material_id", "formula", "space_group", "honest_ssim", "lattice")
    rows = zip(*(shown[name].tolist() for name in names), strict=True)
    facts = {
        "crystals": [dict(zip(names, row, strict=True)) for row in rows],
        "symbols": SYMBOLS,
        "confident": CONFIDENT,
        "example": {"formula": "NaCl", "peaks": _example()},
        "colours": {"sequential": plotly.colors.sequential.Viridis, "surface": style.ORANGE, "ink": style.INK}
        | {"input": style.BLUE, "truth": style.GREEN, "sample": style.RED},
    }
    tensors = {"properties": element_properties(), "profile": shown["profile"], "truth": shown["truth"]}
    tensors |= {"composition": shown["composition"]}
    return save(tensors, {name: json.dumps(value) for name, value in facts.items()})


def _example() -> str:
    """Peaks of rock salt at Cu K-alpha, as a reader would type them."""
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    peaks = zip(*powder_peaks(salt, CU_K_ALPHA, (0, HIGH))[:2], strict=True)
    return "\n".join(f"{angle:.2f} {height:.1f}" for angle, height in peaks if height >= STRONG)
