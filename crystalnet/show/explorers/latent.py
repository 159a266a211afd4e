"""The latent space of one crystal, of the data set or measured by the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
from pymatgen.core import Composition

from crystalnet.data.crystals import composition_vector
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.encoders import Latent
from crystalnet.model.network import DensityNetwork
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.peak_lists import peaks_of_text
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.density_pattern import density_pattern
from crystalnet.physics.diffraction import MO_K_ALPHA, binned_pattern
from crystalnet.physics.profiles import log_profile
from crystalnet.physics.similarity import ssim
from crystalnet.scoring.sampling import walk
from crystalnet.show.densities import isosurfaces, slices
from crystalnet.show.explorers.controls import BROAD, choice, line, lines, slider, whole
from crystalnet.show.explorers.explorer import Dial, Explorer
from crystalnet.show.explorers.stored import SHARE, StoredCrystals, expectation, levels
from crystalnet.show.patterns import pattern_strip
from crystalnet.solving.knowledge import Knowledge

OWN = "own"  # the crystal of the reader
OWN_CONTROLS = ("formula", "wavelength", "peaks")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explored: all that does not change with the dials.

    `patterns`: strips by label. `truth` (n, n, n) and `lattice` (3, 3) where they are known. `expected`: the
    SSIM to expect of the answer, where the network was calibrated.
    """

    latent: Latent
    patterns: dict[str, np.ndarray]
    truth: np.ndarray | None
    lattice: np.ndarray | None
    expected: float | None


class LatentExplorer(Explorer):
    """Walk through the latent space of one crystal and see density, slices and patterns follow.

    The code is the point `t` of the straight line between the samples of seeds `first` and `second`, both
    drawn with `noise` times the network's own spread; noise = 0 is the latent mean, the one answer that is
    scored. Every control is also an attribute: `explorer.noise = 0.5`, `explorer.crystal = "mp-149"`.
    With crystal = "own" the input is a formula and a list of peaks; truth and lattice are then not known,
    and neither are the similarity and the pattern of the density.

    Attributes:
        truth, prediction: densities on show, (n, n, n), e/Å^3; truth None where it is not known.
        similarity: their SSIM, periodic, as both lie; data range: the truth's. Or None.
        expected: the SSIM to expect of the latent mean; None for a network that was not calibrated.

    Args:
        model: a trained network.
        store: data set that holds the crystals, in cells like those the network was trained on.
        rows: the crystals to choose from, by default the test crystals.
        compositions: (N, 118), what the network may know of each; by default all.

    Raises:
        CrystalNetError: no crystals to choose from.
    """

    crystal = Dial("material_id of the crystal on show, or 'own'.")
    formula = Dial("Formula of your own crystal.")
    wavelength = Dial("Of your own peaks, Å or a name.")
    peaks = Dial("Your own peaks, lines of two_theta in degrees and intensity.")
    first = Dial("Seed of the sample at t = 0.")
    second = Dial("Seed of the sample at t = 1.")
    t = Dial("Place on the line between the samples, 0 to 1.")
    noise = Dial("Scale of the noise, 0 to 3; 1 is what the network was trained with.")
    surface = Dial("Per cent of the cell within the outer surface; the inner one holds a fifth of it.")
    position = Dial("Fractional coordinate of the slices, 0 to 1.")

    def __init__(
        self,
        model: DensityNetwork,
        store: Store,
        rows: Sequence[int] | None = None,
        compositions: np.ndarray | None = None,
    ):
        self._model, self._crystals = model, StoredCrystals(store, rows)
        self._compositions = store.compositions if compositions is None else compositions
        self._read, self._subject = None, None
        options = [*self._crystals.options, ("your own peaks", OWN)]
        controls = {
            "crystal": choice("Crystal", options, BROAD),
            "formula": line("Formula", placeholder="Mg2Si"),
            "wavelength": line("Wavelength", "CuKa", "Å or CuKa"),
            "peaks": lines("Peaks", "2theta intensity, a line a peak"),
            "first": whole("Sample A", 0),
            "second": whole("Sample B", 1),
            "t": slider("A to B", 0, 0, 1, 0.05),
            "noise": slider("Noise", 1, 0, 3, 0.1),
            "surface": slider("Surface %", SHARE, 1, 60, 1, readout_format=".0f"),
            "position": slider("Slices at", 0.5, 0, 1, 0.02),
        }
        super().__init__(controls)

    @property
    def materials(self) -> list[str]:
        """material_id of every crystal that can be chosen."""
        return list(self._crystals.rows)

    @property
    def truth(self) -> np.ndarray | None:
        return self._subject.truth

    @property
    def expected(self) -> float | None:
        return self._subject.expected

    # ------------------------------------------------------------------ what follows

    def _adapt(self, name: str) -> None:
        if name == "crystal":
            for own in OWN_CONTROLS:
                self._controls[own].layout.display = None if self.crystal == OWN else "none"

    def _compute(self) -> None:
        asked = (self.crystal, *(getattr(self, own) for own in OWN_CONTROLS if self.crystal == OWN))
        if asked != self._read:  # expectation and encoding are costly, and the dials do not change them
            self._subject = self._own() if self.crystal == OWN else self._stored()
            self._read = asked
        subject = self._subject
        z = walk(subject.latent, self.first, self.second, self.t, self.noise)
        self.prediction = self._model.density(z, self._crystals.n)[0].cpu().numpy()
        self.similarity = None
        self._patterns = dict(subject.patterns)
        if subject.truth is not None:
            data_range = float(np.ptp(subject.truth))
            self.similarity = ssim(subject.truth, self.prediction, data_range, periodic=True)
        if subject.lattice is not None:
            self._patterns["sample, valence"] = density_pattern(self.prediction, subject.lattice)

    def _stored(self) -> Subject:
        crystals, row = self._crystals, self._crystals.rows[self.crystal]
        read = getattr(crystals.store, self._model.reads)[row]
        truth, lattice = crystals.truth(self.crystal), crystals.crystal(self.crystal).atoms.lattice
        patterns = {
            "input, X-ray": crystals.store.patterns[row],
            "truth, valence": density_pattern(truth, lattice),
        }
        return self._of(read, self._compositions[row], patterns, truth, lattice)

    def _own(self) -> Subject:
        if not (self.formula.strip() and self.peaks.strip()):
            raise CrystalNetError(
                "Type a formula and paste peaks, a line each: 2theta in degrees, intensity.",
                Code.BAD_PEAKS,
            )
        composition = composition_vector(Composition(Knowledge.of_formula(self.formula.strip()).formula))
        wavelength = wavelength_of(self.wavelength.strip())
        observed = Observed.of_peaks(peaks_of_text(self.peaks, wavelength), wavelength)
        peaks = replace(observed, wavelength=MO_K_ALPHA).peaks  # as the network's radiation would show them
        pattern = binned_pattern(peaks)
        read = log_profile(peaks) if self._model.reads == "profiles" else pattern
        return self._of(read, composition, {"input, X-ray": pattern})

    def _of(self, read, composition, patterns, truth=None, lattice=None) -> Subject:
        known = self._model.confidence is not None
        expected = self._model.expected_similarity(read, composition) if known else None
        return Subject(self._model.latent(read, composition), patterns, truth, lattice, expected)

    def _figures(self) -> dict[str, go.Figure]:
        pair = {"truth": self.truth, "sample": self.prediction}
        shown = {name: cmed for name, cmed in pair.items() if cmed is not None}
        reference, *others = shown.values()
        surfaces = isosurfaces(shown, levels(reference, self.surface), stride=1)
        planes = slices(reference, *others, labels=tuple(pair), position=self.position)
        return {
            "surfaces": surfaces.update_layout(height=320),
            "slices": planes.update_layout(height=440 if others else 190),
            "patterns": pattern_strip(self._patterns).update_layout(height=80 + 30 * len(self._patterns)),
        }

    def _words(self) -> str:
        which = f"t = {self.t:g}, noise = {self.noise:g}" if self.noise else "latent mean, the honest answer"
        score = "Truth and lattice are not known"
        if self.similarity is not None:
            score = f"SSIM {self.similarity:.3f} as they lie"
        words = [f"{score}, {self._crystals.n}³ voxels ({which})", expectation(self.expected)]
        return "; ".join(filter(None, words))
