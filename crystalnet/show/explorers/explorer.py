"""What all explorers share: controls that are attributes, figures that keep the view, errors in sight."""

from __future__ import annotations

import html
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial

import plotly.graph_objects as go
from ipywidgets import HTML, DOMWidget, HBox, VBox

from crystalnet.errors import Code, CrystalNetError
from crystalnet.show.explorers.controls import refuse
from crystalnet.show.explorers.fitting import columns

WRAPPED = {"flex_flow": "row wrap"}
CAMERAS = "cameras"  # beside the controls in a state


class Dial:
    """A control's value as an attribute of its explorer; what the control does not offer is refused."""

    def __init__(self, doc: str):
        self.__doc__ = doc

    def __set_name__(self, owner, name: str) -> None:
        self._name = name

    def __get__(self, explorer, owner=None):
        return self if explorer is None else explorer._controls[self._name].value

    def __set__(self, explorer, value) -> None:
        control = explorer._controls[self._name]
        refuse(control, value)
        control.value = value


class Explorer(VBox):
    """Controls above one sentence above figures; whatever control changes, the rest follows.

    A subclass has a `Dial` for each of its controls and says what follows from them:

    - `_compute()`, the numbers: may raise, which is shown in the place of the sentence;
    - `_figures()`, a figure of each name, with the height that it takes;
    - `_words()`, HTML;
    - `_adapt(name)`, what else to change when the control of that name has: what others offer, say.

    Attributes:
        error: the message on show, "" when all is well.

    Args:
        controls: by the names of their dials; one that decides what others offer comes before them.
        below: what follows the figures.

    >>> from ipywidgets import IntSlider
    >>> class Squared(Explorer):
    ...     number = Dial("What is squared.")
    ...     def _compute(self):
    ...         self.square = self.number**2
    ...     def _figures(self):
    ...         return {}
    ...     def _words(self):
    ...         return f"{self.square}"
    >>> squared = Squared({"number": IntSlider(3, 0, 9)})
    >>> squared.number = 4
    >>> squared.square, squared.state["number"]
    (16, 4)
    """

    def __init__(self, controls: dict[str, DOMWidget], below: tuple[DOMWidget, ...] = ()):
        self._controls = controls
        self._held = False
        self._message = HTML()
        self._panels: dict[str, go.FigureWidget] = {}
        self._places = HBox(layout=WRAPPED)
        for name, control in controls.items():
            control.observe(partial(self._changed, name), "value")
        above = HBox(list(controls.values()), layout=WRAPPED)
        super().__init__([above, self._message, self._places, *below])
        with self._holding():
            for name in controls:
                self._adapt(name)
        self._update()

    # ------------------------------------------------------------------ the view, from code

    @property
    def state(self) -> dict:
        """The value of every control, and how every scene is turned; set it to see the same again.

        Raises:
            CrystalNetError: when set, if there is no such control or it refuses its value; nothing changes.
        """
        turned = {
            name: [scene.camera.to_plotly_json() for scene in panel.select_scenes()]
            for name, panel in self._panels.items()
        }
        return self._values() | {CAMERAS: {name: cameras for name, cameras in turned.items() if cameras}}

    @state.setter
    def state(self, state: Mapping) -> None:
        if unknown := state.keys() - self._controls.keys() - {CAMERAS}:
            raise CrystalNetError(
                f"There is no control {', '.join(map(repr, sorted(unknown)))}. The controls are"
                f" {', '.join(self._controls)}.",
                Code.BAD_ARGUMENT,
            )
        before = self._values()
        try:
            self._set(state)
        except CrystalNetError:
            self._set(before)
            raise
        self._update()
        for name, cameras in state.get(CAMERAS, {}).items():
            if name in self._panels:
                for scene, camera in zip(self._panels[name].select_scenes(), cameras, strict=False):
                    scene.camera = camera

    def _values(self) -> dict:
        return {name: control.value for name, control in self._controls.items()}

    def _set(self, values: Mapping) -> None:
        with self._holding():
            for name in self._controls:  # in their order: some decide what others offer
                if name in values:
                    setattr(self, name, values[name])

    # ------------------------------------------------------------------ what follows

    def _compute(self) -> None:
        raise NotImplementedError

    def _figures(self) -> dict[str, go.Figure]:
        raise NotImplementedError

    def _words(self) -> str:
        raise NotImplementedError

    def _adapt(self, name: str) -> None:
        pass

    @contextmanager
    def _holding(self):
        """Change several controls and compute nothing in between."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    def _changed(self, name: str, _) -> None:
        with self._holding():
            self._adapt(name)
        if not self._held:
            self._update()

    def _update(self) -> None:
        """Compute and redraw; a failure is shown where the reader looks, since callbacks have no cell."""
        try:
            self._compute()
            self._draw()
            self.error = ""
            self._message.value = f'<p role="status">{self._words()}</p>'
        except Exception as error:
            kind = "" if isinstance(error, CrystalNetError) else f"{type(error).__name__}: "
            self.error = kind + str(error).split("\n")[0]
            self._message.value = f'<p role="alert" style="color: #D55E00">{html.escape(self.error)}</p>'

    def _draw(self) -> None:
        shown = {}
        for name, figure in self._figures().items():
            panel = self._panels.get(name)
            if panel is not None and len(panel.data) == len(figure.data):
                _redraw(panel, figure)
                shown[name] = panel
            else:
                shown[name] = go.FigureWidget(figure)
        if shown != self._panels:
            self._panels = shown
            self._places.children = columns(list(shown.values()))


def _redraw(panel: go.FigureWidget, figure: go.Figure) -> None:
    """Show what `figure` shows; the layout stays but for its words, and with it the view that was chosen."""
    with panel.batch_update():
        for old, new in zip(panel.data, figure.data, strict=True):
            old.update(new.to_plotly_json(), overwrite=True)
        for old, new in zip(panel.select_coloraxes(), figure.select_coloraxes(), strict=True):
            old.update(cmin=new.cmin, cmax=new.cmax)
        for old, new in zip(panel.layout.annotations, figure.layout.annotations, strict=True):
            old.text = new.text
        panel.layout.title.text = figure.layout.title.text
