"""From the paper's network to the spectral one, rung by rung: what each has, its cost and its scores."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from crystalnet.data.store import ALTERED
from crystalnet.runs.records import Record
from crystalnet.runs.run import PREDICTORS
from crystalnet.scoring.evaluation import summary
from crystalnet.show.tables import MISSING
from crystalnet.show.variants import cores

STRICT, FREE, SPECTRAL = "paper's network, strict", "paper's network, free", "spectral network"


def called(record: Record) -> str:
    """The kind of a record's network in words, as the chapters say it.

    >>> from types import SimpleNamespace
    >>> called(SimpleNamespace(field="film", network="cubic-strict"))
    "paper's network, strict"
    """
    if record.field == "spectral":
        return SPECTRAL
    return STRICT if record.network.endswith("-strict") else FREE


def ladder(found: Iterable[Record]) -> pd.DataFrame:
    """A row a network, strict ones first, as text; each system's nearest neighbours in its cells at the end.

    Returns:
        Index (system, network); columns: profile, cells, altered copies, pattern, encoders, waves, answer,
        core-minutes, n, SSIM under both protocols.

    >>> from crystalnet.runs.records import records
    >>> ladder(records()).index.names
    FrozenList(['system', 'network'])
    """
    order = [STRICT, FREE, SPECTRAL]
    found = sorted(found, key=lambda record: (record.system, order.index(called(record))))
    rows = [_network(record) for record in found]
    for record in {(one.system, _cells(one)): one for one in found}.values():
        rows.append(_row(record, PREDICTORS[1]) | {"cells": _cells(record), "network": PREDICTORS[1]})
    table = pd.DataFrame(rows).fillna(MISSING)
    return table.sort_values("system", kind="stable").set_index(["system", "network"])


def _network(record: Record) -> dict[str, str]:
    made = record.manifest["history.csv"]
    model, training = made["model"], made["training"]
    spectral = record.field == "spectral"
    regular = "plane waves, learned" if spectral else "plane waves"
    borrowed = training.get("encoders_from")
    dense = model.get("encoders", "dense") == "dense" and not spectral
    root = spectral or model.get("regresses") == "amplitude"
    return {
        **_row(record, PREDICTORS[0]),
        "network": called(record),
        "profile": record.profile,
        "cells": _cells(record),
        "altered copies": f"{record.manifest[ALTERED]:,}" if record.manifest.get(ALTERED) else MISSING,
        "pattern": "log d" if model.get("reads") == "profiles" or spectral else "angles",
        "encoders": f"of {borrowed}" if borrowed else "the paper's" if dense else "windows",
        "waves": regular if spectral or model.get("frequencies") == "periodic" else "random",
        "answer": "amplitude" if root else "density",
        "core-minutes": f"{cores(made) * made['training_seconds'] / 60:.0f}",
    }


def _row(record: Record, predictor: str) -> dict[str, str]:
    numbers = summary(record.scores[record.scores["predictor"] == predictor])
    shown = {"system": record.system, "n": f"{numbers['crystals']:.0f}"}
    return shown | {
        f"SSIM, {protocol}": f"{numbers[f'{protocol}_ssim']:.3f}" for protocol in ("paper", "honest")
    }


def _cells(record: Record) -> str:
    return record.manifest["history.csv"]["params"]["data"].get("cell", "given")
