"""Results as tables: summaries of scores beside the paper's, differences crystal by crystal, training runs.

Scores are DataFrames, a row a case and test crystal, as `Run.evaluation` and the records have them.

>>> print(sources(["cubic: 250 crystals"]))
- cubic: 250 crystals
>>> from crystalnet.runs.records import records
>>> record = records()[0]
>>> ours = summaries(record.scores, "predictor")
>>> means(ours).shape[0] == tails(ours).shape[0] == len(ours)
True
>>> beside_published({("cubic", "cpu"): ours}, {}).index.names
FrozenList(['system', 'profile', 'predictor'])
>>> network, other = record.scores["predictor"].unique()[:2]
>>> lies = paired(record.scores, "predictor", other)
>>> differences(lies).columns.tolist()
['n', 'SSIM, honest', 'PSNR, honest', 'better']
>>> groups = by_space_group(record.scores)
>>> groups_in_words(groups.head(1)).split(" (")[0]
'198 P2_13'
>>> training_facts(record.history, record.manifest["history.csv"], 1000)["training crystals"]
'1,000'
>>> scale(record.manifest["history.csv"], 1000, "DFT").split(", ")[1:]
['1,000 crystals with DFT densities', '21 of 21 epochs']
>>> against_both(record.scores, record.scores_dft)["truth"].unique().tolist()
['data set', 'DFT']
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pandas as pd
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from crystalnet.model import networks
from crystalnet.scoring.evaluation import summary
from crystalnet.show.architecture import n_parameters

PROTOCOLS = {"paper": "paper protocol", "honest": "honest"}
PUBLISHED = "published"
MISSING = "–"
NONE = (
    "There are no results of long runs here yet: `make results PROFILE=cpu` trains, evaluates and keeps some."
)


def sources(lines: Iterable[str]) -> str:
    """Markdown for below a table: where its numbers come from, a line a bullet; how to get some, if none."""
    return "\n".join(f"- {line}" for line in lines) or NONE


def summaries(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """`scoring.evaluation.summary` of every case in `column`, which becomes the index."""
    return pd.DataFrame(
        {case: summary(part) for case, part in scores.groupby(column, sort=False)}
    ).T.rename_axis(column)


def beside_published(ours: dict[tuple[str, str], pd.DataFrame], published: dict[str, dict]) -> pd.DataFrame:
    """Summaries of several runs, those of a crystal system together and the paper's below them.

    Args:
        ours: {(system, profile): summaries}, not empty.
        published: {system: {case: numbers}} under the paper's protocol: crystals, ssim, ssim_std, psnr,
            psnr_std, and others of `summary` that are known. Systems that `ours` lacks are left out.

    Returns:
        Columns of `summary`, NaN where the paper says nothing; index (system, profile, case).
    """
    parts = {}
    for system in dict.fromkeys(system for system, _ in ours):
        parts |= {where: table for where, table in ours.items() if where[0] == system}
        if system in published:
            numbers = pd.DataFrame(published[system]).T
            parts[system, PUBLISHED] = numbers.rename(
                columns=lambda n: n if n == "crystals" else f"paper_{n}"
            )
    column = next(iter(ours.values())).index.name
    return pd.concat(parts, names=["system", "profile", column])


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Summaries as text: mean ± standard deviation of SSIM and PSNR (dB) under both protocols."""
    shown = {("", "n"): table["crystals"].astype(int)}
    for protocol, name in PROTOCOLS.items():
        for score, digits in (("ssim", 3), ("psnr", 1)):
            mean = f"{protocol}_{score}"
            shown[name, score.upper()] = _plus_minus(table[mean], table[f"{mean}_std"], digits)
    return pd.DataFrame(shown)


def tails(table: pd.DataFrame) -> pd.DataFrame:
    """Summaries as text: median SSIM, shares of crystals above 0.9 and below 0.5, under both protocols."""
    shown, columns = {}, {"ssim_median": "median", "above_0.9": "> 0.9", "below_0.5": "< 0.5"}
    for protocol, protocol_name in PROTOCOLS.items():
        for column, name in columns.items():
            style = "{:.3f}" if name == "median" else "{:.0%}"
            values = table[f"{protocol}_{column}"]
            shown[protocol_name, name] = [MISSING if pd.isna(x) else style.format(x) for x in values]
    return pd.DataFrame(shown, table.index)


def paired(scores: pd.DataFrame, column: str, reference: str) -> pd.DataFrame:
    """How far each case lies above a reference, crystal by crystal.

    A crystal that is hard is hard for both, so that the mean of the differences is known better than the
    difference of the means.

    Returns:
        A row for each other case: crystals that all cases have; mean difference of every score under both
        protocols (paper_ssim, ..., PSNR in dB) and its standard error (..._error: standard deviation of the
        differences over the root of their number, NaN for one crystal); `better`, the share of crystals
        with a higher honest SSIM.
    """
    measures = [f"{protocol}_{score}" for protocol in PROTOCOLS for score in ("ssim", "psnr")]
    wide = scores.pivot(index="row", columns=column, values=measures).dropna()
    cases = [case for case in scores[column].unique() if case != reference]
    table = pd.DataFrame({"crystals": len(wide)}, pd.Index(cases, name=column))
    for measure in measures:
        difference = wide[measure][cases].sub(wide[measure][reference], axis=0)
        table[measure], table[f"{measure}_error"] = difference.mean(), difference.sem()
        if measure == "honest_ssim":
            table["better"] = (difference > 0).mean()
    return table


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers of `paired` as text: mean ± standard error."""
    return pd.DataFrame(
        {
            "n": table["crystals"],
            "SSIM, honest": _plus_minus(table["honest_ssim"], table["honest_ssim_error"], 3, "+"),
            "PSNR, honest": _plus_minus(table["honest_psnr"], table["honest_psnr_error"], 1, "+"),
            "better": [f"{share:.0%}" for share in table["better"]],
        }
    )


def against_both(scores: pd.DataFrame, scores_dft: pd.DataFrame) -> pd.DataFrame:
    """Scores of the crystals that have both truths, one below the other, with a column `truth`.

    Args:
        scores, scores_dft: with a column `predictor`, against the data set's densities and against DFT.
    """
    both = ["predictor", "material_id"]
    common = scores.merge(scores_dft[both], on=both), scores_dft.merge(scores[both], on=both)
    return pd.concat(dict(zip(("data set", "DFT"), common, strict=True)), names=["truth"]).reset_index(
        level=0
    )


def by_space_group(scores: pd.DataFrame) -> pd.DataFrame:
    """Honest SSIM in each space group: space_group, n, ssim (the mean), ssim_std, ssim_median."""
    table = scores.groupby("space_group")["honest_ssim"].agg(["size", "mean", _std, "median"])
    return table.set_axis(["n", "ssim", "ssim_std", "ssim_median"], axis=1).reset_index()


def groups_in_words(groups: pd.DataFrame) -> str:
    """Rows of `by_space_group` in a line: number, symbol, mean and crystals of each."""
    return ", ".join(
        f"{number} {sg_symbol_from_int_number(number)} ({ssim:.3f}, n = {n})"
        for number, n, ssim in groups[["space_group", "n", "ssim"]].itertuples(index=False)
    )


def training_facts(history: pd.DataFrame, training: dict, n_crystals: int) -> dict[str, str]:
    """A training run in a few lines of text.

    Args:
        history: as `train` returns it.
        training: its manifest; read are epochs, model, training and environment.
        n_crystals: to train on.
    """
    seconds = history["seconds"].sum()
    speed = n_crystals * len(history) / seconds
    best = history.loc[history["val_ssim"].idxmax()]
    return {
        "training crystals": f"{n_crystals:,}",
        "parameters": f"{n_parameters(networks.build(training['model'])):,}",
        "epochs": training["epochs"],
        "best epoch": f"{best['epoch']:g}",
        "validation SSIM": f"{best['val_ssim']:.3f}",
        "reconstruction (e/Å³)": f"{history['reconstruction'].iloc[-1]:.3f}",
        "time (h:min:s)": str(timedelta(seconds=round(seconds))),
        "crystals/s": f"{speed:,.1f}",
        "points/s": f"{speed * training['training']['strata'] ** 3:,.0f}",
        "hardware": training["environment"]["hardware"],
    }


def scale(training: dict, n_crystals: int, density: str) -> str:
    """What stands behind a network's scores, in a line. `training`: a manifest; read are epochs and model."""
    parameters = n_parameters(networks.build(training["model"]))
    return (
        f"{parameters:,} parameters, {n_crystals:,} crystals with {density} densities,"
        f" {training['epochs']} epochs"
    )


def _plus_minus(values: pd.Series, spreads: pd.Series, digits: int, sign: str = "") -> list[str]:
    style = f"{{:{sign}.{digits}f}} ± {{:.{digits}f}}"
    return [
        MISSING if pd.isna(x) else style.format(x, spread) for x, spread in zip(values, spreads, strict=True)
    ]


def _std(values: pd.Series) -> float:
    return values.std(ddof=0)
