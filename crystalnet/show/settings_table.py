"""The typed settings as a table to look things up in: name, type, default, meaning, source.

>>> values_of(FilmParams, "field"), type_name(int | None)
('film', 'whole number or null')
>>> settings_table(Params.load("quick")).index[0]
'profile'
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pandas as pd

from crystalnet.runs.params import Params
from crystalnet.settings import FilmParams, Group, SpectralParams

OURS = "ours"


def settings_table(params: Params) -> pd.DataFrame:
    """A row a setting, 'group.name': type, default, value in `params`, meaning, and source of the default.

    Both kinds of network are listed; a value is a dash for the kind that `params` does not have.
    """
    rows = []
    for group, field in Params.model_fields.items():
        values = getattr(params, group)
        if not isinstance(values, Group):
            rows.append(_row(group, field, values))
            continue
        for model in (FilmParams, SpectralParams) if group == "model" else (type(values),):
            for name, inner in model.model_fields.items():
                value = getattr(values, name) if isinstance(values, model) else None
                kind = f" ({values_of(model, 'field')})" if group == "model" else ""
                rows.append(_row(f"{group}.{name}{kind}", inner, value, isinstance(values, model)))
    return pd.DataFrame(rows).set_index("setting")


def values_of(model: type[Group], name: str) -> Any:
    """The default of one of a group's settings."""
    return model.model_fields[name].default


def type_name(annotation: Any) -> str:
    """How a person would write a type: 'whole number or null', "'own' or 'shared'"."""
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is Annotated:
        return type_name(inner[0])
    if origin in (Union, types.UnionType):
        return " or ".join(map(type_name, inner))
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if origin is dict:
        return "mapping"
    return "anything"


def _row(name: str, field, value: Any, given: bool = True) -> dict:
    extra = field.json_schema_extra or {}
    return {
        "setting": name,
        "type": type_name(field.annotation),
        "default": _written(field.default),
        "here": _written(value) if given else "–",
        "meaning": field.description,
        "source of the default": extra.get("source", OURS),
    }


def _written(value: Any) -> str:
    """As it stands in a params file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        entries = (f"{k}: {'…' if isinstance(v, dict) else v}" for k, v in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
