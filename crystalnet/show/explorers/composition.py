"""The ablation of Table 2 as a toy: one crystal, and as much of its composition as the reader leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from crystalnet.data.composition import known_level, partly_known
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.similarity import ssim
from crystalnet.physics.tables import SYMBOLS
from crystalnet.show.densities import isosurfaces, slices
from crystalnet.show.explorers.controls import BROAD, Checks, choice, slider, switch
from crystalnet.show.explorers.explorer import Dial, Explorer
from crystalnet.show.explorers.stored import SHARE, StoredCrystals, expectation, levels


class CompositionExplorer(Explorer):
    """Take elements and ratios of a crystal away, give them back, and see its answer change.

    What is left is given to the network that was trained at that level of Table 2, where there is one, and
    else to the baseline's: that one has never seen less than all.

    Attributes:
        composition: (118,) what the network was told.
        level: of Table 2, or None where the paper has no such level.
        truth, full, prediction: densities (n, n, n), e/Å^3: the crystal's, and the answers with all of the
            composition and with what is left of it.
        similarity, similarity_full: SSIM of the answers, periodic, as they lie; data range: the truth's.
        expected, expected_full: the SSIM to expect; None where the network was not calibrated.

    Args:
        models: a trained network, or one for each level that there is; 'baseline' is needed.
        store: data set that holds the crystals.
        rows: the crystals to choose from, by default the test crystals.

    Raises:
        CrystalNetError: no crystals to choose from, or no baseline.
    """

    crystal = Dial("material_id of the crystal on show.")
    elements = Dial("Symbols of the elements that the network is told.")
    ratios = Dial("Whether it is told how much of each.")
    surface = Dial("Per cent of the cell within the outer surface; the inner one holds a fifth of it.")

    def __init__(
        self,
        models: DensityNetwork | Mapping[str, DensityNetwork],
        store: Store,
        rows: Sequence[int] | None = None,
    ):
        self._models = dict(models) if isinstance(models, Mapping) else {"baseline": models}
        if "baseline" not in self._models:
            raise CrystalNetError(
                "There is no network of the level 'baseline'. Give that one at least.", Code.BAD_ARGUMENT
            )
        self._crystals = StoredCrystals(store, rows)
        self._read, self._told = None, None
        controls = {
            "crystal": choice("Crystal", self._crystals.options, BROAD),
            "elements": Checks("Elements"),
            "ratios": switch("ratios known"),
            "surface": slider("Surface %", SHARE, 1, 60, 1, readout_format=".0f"),
        }
        super().__init__(controls)

    def _adapt(self, name: str) -> None:
        if name == "crystal":
            self._controls["elements"].offer(SYMBOLS[i] for i in np.flatnonzero(self._whole))

    @property
    def _whole(self) -> np.ndarray:
        return self._crystals.store.compositions[self._crystals.rows[self.crystal]]

    def _compute(self) -> None:
        whole = self._whole
        if self.crystal != self._read:
            self._told, self.truth = None, self._crystals.truth(self.crystal)
            self.full, self.similarity_full, self.expected_full = self._answer("baseline", whole)
            self._read = self.crystal
        if (self.elements, self.ratios) != self._told:  # else the surfaces moved alone
            self.composition = partly_known(whole, self.elements, self.ratios)
            self.level = known_level(whole, self.elements, self.ratios)
            self.prediction, self.similarity, self.expected = self._answer(self.level, self.composition)
            self._told = self.elements, self.ratios

    def _answer(self, level: str | None, composition) -> tuple[np.ndarray, float, float | None]:
        model = self._models.get(level, self._models["baseline"])
        store, row = self._crystals.store, self._crystals.rows[self.crystal]
        given = getattr(store, model.reads)[row], composition
        answer = model.answer(*given, self._crystals.n).cpu().numpy()
        expected = None if model.confidence is None else model.expected_similarity(*given)
        return answer, ssim(self.truth, answer, float(np.ptp(self.truth)), periodic=True), expected

    def _figures(self) -> dict[str, go.Figure]:
        shown = {"truth": self.truth, "whole": self.full, "left": self.prediction}
        surfaces = isosurfaces(shown, levels(self.truth, self.surface), stride=1)
        planes = slices(self.full, self.prediction, labels=("whole", "left"))
        return {"surfaces": surfaces.update_layout(height=200), "slices": planes.update_layout(height=440)}

    def _words(self) -> str:
        told = ", ".join(f"{SYMBOLS[i]} {self.composition[i]:.2f}" for i in np.flatnonzero(self.composition))
        level = (self.level or "no level of Table 2").replace("_", " ")
        left, whole = (
            ", ".join(filter(None, (f"SSIM {similarity:.3f}", expectation(expected))))
            for similarity, expected in (
                (self.similarity, self.expected),
                (self.similarity_full, self.expected_full),
            )
        )
        return f"Told: {told or 'nothing'} ({level}). {left}; with the whole composition {whole}."
