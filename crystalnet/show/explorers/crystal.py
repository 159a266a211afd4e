"""From a structure to its pattern and its density, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from crystalnet.data.checks import supported_elements
from crystalnet.data.crystals import Crystal
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import GRID, promolecule_cmed
from crystalnet.physics.diffraction import MO_K_ALPHA, N_BINS, binned_pattern, powder_peaks
from crystalnet.physics.tables import SYMBOLS
from crystalnet.show.atoms import atoms_in_cell
from crystalnet.show.densities import isosurfaces
from crystalnet.show.explorers.controls import BROAD, choice, slider
from crystalnet.show.explorers.explorer import Dial, Explorer
from crystalnet.show.explorers.stored import SHARE, display_stride, levels, named
from crystalnet.show.patterns import pattern_strip, powder_sticks

KEPT = "as it is"


class CrystalExplorer(Explorer):
    """Stretch a crystal or exchange one of its elements, and see atoms, pattern and density follow.

    Attributes:
        atoms: on show.
        two_theta, intensity: (P,) of their powder peaks, degrees and highest 100.
        pattern: (1024,) the peaks in bins, highest 1.
        cmed: (50, 50, 50), e/Å^3, of spherical atoms.

    Args:
        crystals: to choose from, by material_id; `data.prototypes.library_crystals()` holds many.

    Raises:
        CrystalNetError: no crystals to choose from.

    >>> from crystalnet.data.crystals import crystal_from_structure
    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0] * 3, [0.5] * 3]), np.array(["Na", "Cl"]))
    >>> explorer = CrystalExplorer([crystal_from_structure(salt, "salt")])
    >>> explorer.element, explorer.by = "Na", "K"
    >>> explorer.formula, float(explorer.two_theta[0].round(1))  # 111 with Mo K-alpha
    ('KCl', 12.5)
    """

    crystal = Dial("material_id of the crystal that is altered.")
    element = Dial("Symbol of the element that is replaced.")
    by = Dial("Symbol of the element that takes its place, or 'as it is'.")
    scale = Dial("Factor of the cell's edges, 0.9 to 1.1.")
    wavelength = Dial("Å, of Mo or Cu K-alpha.")
    surface = Dial("Per cent of the cell within the outer surface; the inner one holds a fifth of it.")

    def __init__(self, crystals: Sequence[Crystal]):
        self._crystals = {crystal.material_id: crystal for crystal in crystals}
        if not self._crystals:
            raise CrystalNetError(
                "There is no crystal to explore. Give a list of crystals.", Code.BAD_ARGUMENT
            )
        known = supported_elements()
        radiations = [("Mo Kα", MO_K_ALPHA), ("Cu Kα", wavelength_of("CuKa"))]
        options = [(named(crystal), name) for name, crystal in self._crystals.items()]
        controls = {
            "crystal": choice("Crystal", options, BROAD),
            "element": choice("Element", [SYMBOLS[0]]),
            "by": choice("becomes", [KEPT, *(symbol for symbol in SYMBOLS if symbol in known)]),
            "scale": slider("Cell scale", 1, 0.9, 1.1, 0.005, readout_format=".3f"),
            "wavelength": choice("Radiation", radiations),
            "surface": slider("Surface %", SHARE, 1, 60, 1, readout_format=".0f"),
        }
        super().__init__(controls)

    def _adapt(self, name: str) -> None:
        if name == "crystal":
            symbols = self._crystals[self.crystal].atoms.symbols.tolist()
            self._controls["element"].options = list(dict.fromkeys(symbols))
            self._controls["by"].value = KEPT

    def _compute(self) -> None:
        crystal = self._crystals[self.crystal]
        lattice, frac_coords, symbols = crystal.atoms
        if self.by != KEPT:
            symbols = np.where(symbols == self.element, self.by, symbols)
        altered = replace(crystal, atoms=Atoms(lattice * self.scale, frac_coords, symbols))
        peaks = powder_peaks(altered.symmetrized, self.wavelength)
        self.cmed = promolecule_cmed(altered.atoms)
        self.atoms, self.formula = altered.atoms, altered.formula
        self.two_theta, self.intensity = peaks.two_theta, peaks.intensity
        self.pattern = binned_pattern(peaks)

    def _figures(self) -> dict[str, go.Figure]:
        surfaces = isosurfaces({"": self.cmed}, levels(self.cmed, self.surface), stride=display_stride(GRID))
        return {
            "atoms": atoms_in_cell(self.atoms, "atoms in the cell"),
            "density": surfaces.update_layout(
                height=320, title={"text": "CMED, the cell as a cube", "y": 0.98}
            ),
            "sticks": powder_sticks(self.two_theta, self.intensity, "powder peaks"),
            "pattern": pattern_strip({"input": self.pattern}, f"{N_BINS} bins").update_layout(height=150),
        }

    def _words(self) -> str:
        atoms = "1 atom" if len(self.atoms.symbols) == 1 else f"{len(self.atoms.symbols)} atoms"
        edges = ", ".join(f"{length:.3f}" for length in np.linalg.norm(self.atoms.lattice, axis=1))
        return (
            f"{self.formula}: {atoms}, edges {edges} Å; {len(self.two_theta)} peaks"
            f" in {np.count_nonzero(self.pattern)} bins; densest point {self.cmed.max():.2f} e/Å³"
        )
