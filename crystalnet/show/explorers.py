"""Widgets that answer the reader's hand: they need a kernel, and so live in JupyterLab, not on the pages."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
from ipywidgets import HTML, BoundedIntText, Dropdown, FloatSlider, HBox, Layout, VBox

from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.density_pattern import density_pattern
from crystalnet.physics.similarity import ssim
from crystalnet.show.densities import isosurfaces, slices
from crystalnet.show.patterns import pattern_strip
from crystalnet.solving.sampling import walk

VOXELS = 25  # about so many an axis: a redraw then follows the hand (our choice)
WRAPPED = {"flex_flow": "row wrap"}
WIDTH, HEIGHTS = 520, (320, 490, 170)  # pixels: of surfaces, slices and patterns


def display_stride(n: int) -> int:
    """The divisor of n that leaves about VOXELS of n voxels: truth and prediction then share their points."""
    return min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: abs(n / d - VOXELS))


def _control(name: str, doc: str) -> property:
    """A control's value as an attribute; one out of range is refused, not clipped as the widget would."""

    def read(explorer):
        return getattr(explorer, name).value

    def write(explorer, value) -> None:
        control = getattr(explorer, name)
        if not control.min <= value <= control.max:
            raise CrystalNetError(
                f"{control.description} = {value} is out of range. Choose {control.min:g} to {control.max:g}."
            )
        control.value = value

    return property(read, write, doc=doc)


class LatentExplorer(VBox):
    """Walk through the latent space of one crystal and see density, slices and patterns follow.

    The code is the point `t` of the straight line between the samples of seeds `first` and `second`, both
    drawn with `noise` times the network's own spread; noise = 0 is the latent mean, the one answer that is
    scored. Every control is also an attribute: `explorer.noise = 0.5`, `explorer.crystal = "mp-149"`.

    Attributes:
        truth, prediction: densities on show, (n, n, n), e/Å^3.
        similarity: their SSIM, periodic, as both lie; data range: the truth's.
        error: the message on show, "" when all is well.

    Args:
        model: a trained network.
        store: data set that holds the crystals.
        rows: the crystals to choose from, by default the test crystals.
        compositions: (N, 118), what the network may know of each; by default all.

    Raises:
        CrystalNetError: no crystals to choose from.
    """

    def __init__(self, model: DensityNetwork, store: Store, rows=None, compositions=None):
        rows = store.indices("test") if rows is None else np.asarray(rows)
        if not len(rows):
            raise CrystalNetError("There is no crystal to explore. Choose rows of the store.")
        self._model, self._store = model, store
        self._compositions = store.compositions if compositions is None else compositions
        self._stride = display_stride(store.n)
        names = [self._name(row) for row in rows]
        self._crystal = Dropdown(options=list(zip(names, map(int, rows), strict=True)), description="Crystal")
        self._first = BoundedIntText(0, 0, 2**31, description="Sample A")
        self._second = BoundedIntText(1, 0, 2**31, description="Sample B")
        self._t = FloatSlider(0.0, min=0, max=1, step=0.05, description="A to B", continuous_update=False)
        self._noise = FloatSlider(1.0, min=0, max=3, step=0.1, description="Noise", continuous_update=False)
        self._message = HTML()
        controls = (self._crystal, self._first, self._second, self._t, self._noise)
        for control in controls:
            control.layout = Layout(width="430px" if control is self._crystal else "250px", max_width="100%")
            control.observe(lambda _: self._update(), "value")
        self._panels: list[go.FigureWidget] = []
        self._figures = HBox(layout=WRAPPED)
        rows_of_controls = [HBox(some, layout=WRAPPED) for some in (controls[:3], controls[3:])]
        super().__init__([*rows_of_controls, self._message, self._figures])
        self._update()

    # ------------------------------------------------------------------ the controls, from code

    @property
    def crystal(self) -> str:
        """material_id of the crystal on show."""
        return self._store.crystals[self._crystal.value].material_id

    @crystal.setter
    def crystal(self, material_id: str) -> None:
        for _, row in self._crystal.options:
            if self._store.crystals[row].material_id == material_id:
                self._crystal.value = row
                return
        raise CrystalNetError(f"{material_id!r} is not among the crystals of this explorer. See `materials`.")

    @property
    def materials(self) -> list[str]:
        """material_id of every crystal that can be chosen."""
        return [self._store.crystals[row].material_id for _, row in self._crystal.options]

    first = _control("_first", "Seed of the sample at t = 0.")
    second = _control("_second", "Seed of the sample at t = 1.")
    t = _control("_t", "Place on the line between the samples, 0 to 1.")
    noise = _control("_noise", "Scale of the noise, 0 to 3; 1 is what the network was trained with.")

    # ------------------------------------------------------------------ what follows

    def _update(self) -> None:
        """Compute and redraw; a failure is shown where the reader looks, since callbacks have no cell."""
        try:
            self._compute()
            self._draw()
            self.error = ""
        except Exception as error:
            kind = "" if isinstance(error, CrystalNetError) else f"{type(error).__name__}: "
            self.error = kind + str(error).split("\n")[0]
        self._message.value = self._words()

    def _compute(self) -> None:
        row, stride = self._crystal.value, self._stride
        truth = self._store.cmed[row, ::stride, ::stride, ::stride].astype(np.float32)
        latent = self._model.latent(getattr(self._store, self._model.reads)[row], self._compositions[row])
        z = walk(latent, self.first, self.second, self.t, self.noise)
        prediction = self._model.density(z, self._store.n // stride)[0].cpu().numpy()
        lattice = self._store.crystals[row].atoms.lattice
        patterns = {
            "input, X-ray": self._store.patterns[row],
            "truth, valence": density_pattern(truth, lattice),
            "sample, valence": density_pattern(prediction, lattice),
        }
        self.truth, self.prediction, self._patterns = truth, prediction, patterns
        self.similarity = ssim(truth, prediction, float(np.ptp(truth)), periodic=True)

    def _draw(self) -> None:
        figures = [
            isosurfaces({"truth": self.truth, "sample": self.prediction}, stride=1),
            slices(self.truth, self.prediction, labels=("truth", "sample")),
            pattern_strip(self._patterns),
        ]
        if not self._panels:
            surfaces, planes, strips = self._panels = [go.FigureWidget(figure) for figure in figures]
            for panel, height in zip(self._panels, HEIGHTS, strict=True):
                panel.update_layout(width=WIDTH, height=height)  # a widget is drawn before it has a place
            self._figures.children = [VBox([surfaces, strips]), planes]  # side by side where there is room
            return
        for panel, figure in zip(self._panels, figures, strict=True):
            with panel.batch_update():  # the layout stays, and with it the view that the reader turned to
                for old, new in zip(panel.data, figure.data, strict=True):
                    old.update(new.to_plotly_json(), overwrite=True)
                for old, new in zip(panel.select_coloraxes(), figure.select_coloraxes(), strict=True):
                    old.update(cmin=new.cmin, cmax=new.cmax)

    def _words(self) -> str:
        if self.error:
            return f'<p role="alert" style="color: #D55E00">{html.escape(self.error)}</p>'
        which = f"t = {self.t:g}, noise = {self.noise:g}" if self.noise else "latent mean, the honest answer"
        return f"<p>SSIM {self.similarity:.3f} as they lie, {len(self.truth)}³ voxels ({which})</p>"

    def _name(self, row: int) -> str:
        crystal = self._store.crystals[row]
        return f"{crystal.formula}, space group {crystal.space_group} ({crystal.material_id})"
