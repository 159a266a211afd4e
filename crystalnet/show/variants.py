"""What each choice of a run is worth: its variants beside the baseline of the ablations, crystal by crystal.

Read are records (see `runs.records`) that have levels and variants.

>>> table = pd.DataFrame({"variant": ["plain", "wide"], "material_id": ["mp-1", "mp-2"], "row": [0, 0]})
>>> by_material(of(table, "wide"))["row"].tolist()
['mp-2']
>>> cores({"environment": {"hardware": "4 cores of AMD EPYC"}, "training": {"networks_at_once": 2}})
2
"""

from __future__ import annotations

import re

import pandas as pd

from crystalnet.model.confidence import Confidence
from crystalnet.runs.params import Params
from crystalnet.runs.records import Record
from crystalnet.runs.run import PREDICTORS
from crystalnet.show.tables import MISSING, differences, paired

PLAIN, HARD, MEASURED = "as the baseline", "other crystals", "other patterns"  # kinds of variants


def of(table: pd.DataFrame, case: str) -> pd.DataFrame:
    """The rows of one case; its column is the first."""
    return table[table.iloc[:, 0] == case]


def by_material(table: pd.DataFrame) -> pd.DataFrame:
    """Scores to be paired by material: other settings of the data number the crystals in another way."""
    return table.assign(row=table["material_id"])


def cores(training: dict) -> int:
    """That a training had, as its manifest says; an accelerator counts as one."""
    found = re.match(r"(\d+) cores", training["environment"]["hardware"])
    return max(1, int(found[1]) // training["training"]["networks_at_once"]) if found else 1


def _training_of(record: Record, variant: str) -> dict:
    """The manifest of a variant's training."""
    return record.manifest["variants.csv"][variant]["training"]


def _patterns_of(record: Record, variant: str) -> str:
    """What a variant's test patterns are like."""
    scores = record.manifest["variants.csv"][variant]["scores"]
    return scores["params"]["evaluation"].get("patterns", "exact")


def variants_of(record: Record, *kinds: str) -> list[str]:
    """Names of a record's variants of some kinds."""
    return [variant for variant in record.manifest["variants.csv"] if _kind(record, variant) in kinds]


def _kind(record: Record, variant: str) -> str:
    """A variant that splits the data in another way has other test crystals: nothing to pair it with."""
    if _training_of(record, variant)["params"]["data"]["split"] != record.manifest["split"]:
        return HARD
    return PLAIN if _patterns_of(record, variant) == "exact" else MEASURED


def changed_settings(record: Record) -> dict[str, str]:
    """What each variant changes, the protocol of the ablations and test patterns aside."""
    settings = Params.load(record.profile).ablations.variants
    changes = {}
    for variant in variants_of(record, PLAIN, HARD):
        groups = [group for name, group in settings.get(variant, {}).items() if name != "ablations"]
        changes[variant] = ", ".join(f"{key}: {value}" for group in groups for key, value in group.items())
    return changes


def worth(record: Record) -> pd.DataFrame:
    """A row for the baseline and for each variant: cost, honest SSIM and PSNR, and what has changed."""
    names = variants_of(record, PLAIN)
    scores = {"baseline": by_material(of(record.levels, "baseline"))}
    scores |= {name: by_material(of(record.variants, name)) for name in names}
    pairs = pd.concat([part.assign(variant=name) for name, part in scores.items()])
    changed = (
        differences(paired(pairs, "variant", "baseline"))
        .astype(object)
        .reindex(list(scores), fill_value=MISSING)
    )
    made = {"baseline": record.manifest["levels.csv"]["baseline"]["training"]}
    made |= {name: _training_of(record, name) for name in names}
    rows = {
        name: {
            "epochs": made[name]["epochs"].split(" of ")[-1],
            "core-s": f"{cores(made[name]) * made[name]['training_seconds']:,.0f}",
            "SSIM": f"{part['honest_ssim'].mean():.3f}",
            "PSNR": f"{part['honest_psnr'].mean():.1f}",
        }
        for name, part in scores.items()
    }
    return pd.DataFrame(rows).T.join(
        changed.rename(columns={"SSIM, honest": "Δ SSIM", "PSNR, honest": "Δ PSNR"})
    )


def _beside(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> dict:
    """A row: mean honest SSIM of both on the same crystals, {name: scores} each, and other minus one."""
    tables = one | other
    pair = pd.concat([by_material(scores).assign(case=name) for name, scores in tables.items()])
    row = differences(paired(pair, "case", *one)).loc[next(iter(other))]
    means = {name: f"{scores['honest_ssim'].mean():.3f}" for name, scores in tables.items()}
    changed = {"Δ SSIM": row["SSIM, honest"], "Δ PSNR": row["PSNR, honest"], "better": row["better"]}
    return {"n": row["n"]} | means | changed


def on_hard_splits(record: Record) -> dict[str, dict]:
    """Network beside nearest neighbour, a row for the record's own split and each variant with another."""
    network, neighbour = of(record.levels, "baseline"), of(record.scores, "nearest neighbour")
    neighbour = neighbour[neighbour["material_id"].isin(network["material_id"])]
    rows = {f"{record.manifest['split']} (baseline)": _beside({"neighbour": neighbour}, {"network": network})}
    for variant in variants_of(record, HARD) if record.retrieval is not None else ():
        network, neighbour = of(record.variants, variant), of(record.retrieval, variant)
        rows[variant] = _beside({"neighbour": neighbour}, {"network": network})
    return rows


def on_measured(record: Record) -> pd.DataFrame:
    """Honest SSIM by what test patterns are like: trained on exact profiles, or on degraded ones as well."""
    exact = {"exact": of(record.levels, "baseline")}
    degraded = {}
    for variant in variants_of(record, PLAIN, MEASURED):
        seen = bool(_training_of(record, variant)["params"]["training"].get("degraded"))
        patterns = _patterns_of(record, variant)
        if seen or patterns != "exact":
            (degraded if seen else exact)[patterns] = of(record.variants, variant)
    rows = {
        patterns: _beside({"exact": scores}, {"degraded": degraded[patterns]})
        for patterns, scores in exact.items()
        if patterns in degraded
    }
    return pd.DataFrame(rows).T


def after_more(record: Record, earlier: Record | None) -> pd.DataFrame:
    """Honest scores before and after a training that goes on from another's, by what test patterns are like.

    Args:
        earlier: the record of the network that it began with, if there is one.
    """
    names = record.spoilt["patterns"].unique()
    tables = {name: [of(table, name) for table in (record.begun, record.spoilt)] for name in names}
    if earlier is not None:
        tables = {"exact": [of(one.scores, PREDICTORS[0]) for one in (earlier, record)]} | tables
    curve = Confidence.fit(record.validation["agreement"], record.validation["honest_ssim"])
    rows = {}
    for patterns, (before, after) in tables.items():
        promised = {"expected": f"{curve.expected(after['agreement'].to_numpy()).mean():.3f}"}
        rows[patterns] = _beside({"before": before}, {"after": after}) | promised
    return pd.DataFrame(rows).T
