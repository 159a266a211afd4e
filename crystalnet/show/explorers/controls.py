"""The controls of explorers, all native to the browser: each can be reached and turned by keyboard alone.

>>> slider("share", 0.5, 0.0, 1.0, 0.1).value, whole("seed", 3).value, switch("same scale").value
(0.5, 3, True)
>>> choice("system", ["cubic", "trigonal"]).value, line("formula", "NaCl").value, lines("peaks").rows
('cubic', 'NaCl', 6)
>>> checks = Checks("atoms")
>>> checks.offer(["Na", "Cl"])
>>> checks.value
('Na', 'Cl')
>>> refuse(choice("system", ["cubic"]), "cubic")  # an error for what it does not offer
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

from ipywidgets import (
    BoundedIntText,
    Checkbox,
    DOMWidget,
    Dropdown,
    FloatSlider,
    HBox,
    Layout,
    Text,
    Textarea,
)
from traitlets import Tuple

from crystalnet.errors import Code, CrystalNetError

NARROW, BROAD = "260px", "520px"
FEW = 8  # choices that a message names


def slider(label: str, value: float, low: float, high: float, step: float, **more: Any) -> FloatSlider:
    """A number within bounds; it is told when the hand rests, since figures do not follow faster."""
    more = {"continuous_update": False, "layout": _layout(NARROW)} | more
    return FloatSlider(value, min=low, max=high, step=step, description=label, **more)


def whole(label: str, value: int, low: int = 0, high: int = 2**31) -> BoundedIntText:
    """A whole number within bounds."""
    return BoundedIntText(value, low, high, description=label, layout=_layout(NARROW))


def choice(label: str, options: Iterable, width: str = NARROW) -> Dropdown:
    """One of several values, or of pairs (name, value)."""
    return Dropdown(options=options, description=label, layout=_layout(width))


def switch(label: str, value: bool = True) -> Checkbox:
    """Yes or no."""
    return Checkbox(value, description=label, indent=False, layout=_layout("auto"))


def line(label: str, value: str = "", placeholder: str = "") -> Text:
    """A line of text, told when it is left or Enter is pressed."""
    more = {"placeholder": placeholder, "continuous_update": False, "layout": _layout(NARROW)}
    return Text(value, description=label, **more)


def lines(label: str, placeholder: str = "") -> Textarea:
    """Several lines of text, told when they are left."""
    more = {"placeholder": placeholder, "continuous_update": False, "layout": _layout(BROAD)}
    return Textarea("", description=label, rows=6, **more)


class Checks(HBox):
    """A checkbox each; the value is a tuple of those that are checked, in the order of the options."""

    value = Tuple()

    def __init__(self, description: str):
        self.description, self.options = description, ()
        self._showing = False
        super().__init__(layout={"flex_flow": "row wrap"})
        self.observe(self._show, "value")

    def offer(self, options: Iterable[str]) -> None:
        """Other options, all checked."""
        self.options = tuple(options)
        self.children = [switch(option) for option in self.options]
        for check in self.children:
            check.observe(self._read, "value")
        self.value = self.options

    def _read(self, _) -> None:
        if not self._showing:
            self.value = tuple(check.description for check in self.children if check.value)

    def _show(self, _) -> None:
        self._showing = True
        for check in self.children:
            check.value = check.description in self.value
        self._showing = False


def refuse(control: DOMWidget, value: Any) -> None:
    """Raise CrystalNetError for a value that a control does not offer: widgets clip it, or take it."""
    label = control.description
    if hasattr(control, "min"):
        if not (isinstance(value, Real) and control.min <= value <= control.max):
            raise CrystalNetError(
                f"{label} = {value} is out of range. Choose {control.min:g} to {control.max:g}.",
                Code.BAD_ARGUMENT,
            )
        if isinstance(control, BoundedIntText) and value != int(value):
            raise CrystalNetError(f"{label} = {value} is no whole number. Choose one.", Code.BAD_ARGUMENT)
    elif isinstance(control, Dropdown | Checks):
        offered = [option[1] if isinstance(option, tuple) else option for option in control.options]
        wanted = value if isinstance(control, Checks) else [value]
        if wrong := [one for one in wanted if one not in offered]:
            more = f" and {len(offered) - FEW} more" if len(offered) > FEW else ""
            raise CrystalNetError(
                f"{wrong[0]!r} is not among the choices of {label}. Choose among"
                f" {', '.join(map(str, offered[:FEW]))}{more}.",
                Code.BAD_ARGUMENT,
            )
    elif not isinstance(value, type(control.value)):
        kind = "True or False" if isinstance(control, Checkbox) else "text"
        raise CrystalNetError(f"{label} = {value!r} is not {kind}. Give it so.", Code.BAD_ARGUMENT)


def _layout(width: str) -> Layout:
    return Layout(width=width, max_width="calc(100% - 4px)")  # the notebook gives each control a margin
