"""Where the numbers of a table come from, and at what scale they were made, in lines of words.

>>> from crystalnet.runs.records import records
>>> record = records()[0]
>>> next(scales([record], {})).split(": ")[0]
'cubic, cpu'
>>> of_levels(record).split(": ")[0], "variants" in of_variants(record, 100)
('cubic', True)
>>> of_validation(record).split()[1:3]
['validation', 'crystals']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from crystalnet.runs.params import Params
from crystalnet.runs.records import Record
from crystalnet.show.tables import scale
from crystalnet.show.variants import cores


def scales(found: Iterable[Record], published: dict[str, dict]) -> Iterator[str]:
    """What stands behind our scores and the published ones, system by system.

    Args:
        published: Table 3 of the paper, {system: {set: crystals}}.
    """
    found, epochs = list(found), Params().training.epochs
    for system in dict.fromkeys(record.system for record in found):
        for record in (record for record in found if record.system == system):
            trained, facts = record.manifest["history.csv"], record.manifest
            yield f"{system}, {record.profile}: {scale(trained, facts['train'], facts['density_source'])}"
        if system in published:
            whole = {"model": {}, "epochs": f"{epochs:,}"}
            yield f"{system}, published: {scale(whole, published[system]['train'], 'DFT')}"


def of_levels(record: Record) -> str:
    """Provenance of a record's ablations: what they share with its main run, and their own protocol."""
    made = next(iter(record.manifest["levels.csv"].values()))
    size = scale(made["training"], record.manifest["train"], record.manifest["density_source"])
    n_crystals = record.levels.groupby("level").size().iloc[0]
    return (
        f"{record.provenance()}. Ablations: {size}, {_points(made['training'])}; {n_crystals:,} test"
        f" crystals, {made['scores']['n_samples']} guesses each"
    )


def of_variants(record: Record, n_crystals: int) -> str:
    """The same of baseline and variants, compared on so many test crystals."""
    made = next(iter(record.manifest["variants.csv"].values()))
    return (
        f"{record.provenance()}. Baseline and variants: {made['training']['epochs']} epochs,"
        f" {_points(made['training'])}, {n_crystals:,} test crystals,"
        f" {made['scores']['n_samples']} guesses each"
    )


def of_validation(record: Record) -> str:
    """On what the validation scores of a history were made."""
    facts = record.manifest["history.csv"]
    most = min(facts["training"]["max_val"] or math.inf, record.manifest["val"])
    return (
        f"{most} validation crystals in the {facts['params']['data'].get('cell', 'given')} cell,"
        f" {facts['training']['val_samples']} guess each, on {facts['training']['val_grid']}³ points; trained"
        f" on {cores(facts)} of {facts['environment']['hardware']}"
    )


def _points(training: dict) -> str:
    return f"{training['training']['strata'] ** 3:,} points a crystal and step"
