"""Model cards: what a published network is, how it came about, how well it does, and what it is good for.

Every number is read off the network's record (see `records`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crystalnet.data.store import ALTERED
from crystalnet.model import networks
from crystalnet.model.encoders import N_ELEMENTS
from crystalnet.physics.diffraction import MO_K_ALPHA
from crystalnet.scoring.evaluation import summary

if TYPE_CHECKING:
    from crystalnet.runs.records import Record

CELLS = {  # params.data.cell
    "given": "the primitive cell in the setting that {source} gives",
    "canonical": "the primitive cell with one origin and choice of axes for every crystal of a type",
}
MATERIALS_PROJECT = (  # its licence asks for this citation
    "Training structures: the Materials Project, CC BY 4.0; cite A. Jain et al., Commentary: The Materials"
    " Project: A materials genome approach to accelerating materials innovation, APL Materials 1, 011002"
    " (2013), https://doi.org/10.1063/1.4812323."
)
KINDS = {  # what a network is, by its field
    "film": "A variational, query-based network ([arXiv:2312.15136](https://arxiv.org/abs/2312.15136)).",
    "spectral": "A variational network whose answer is the square of a Fourier series, made of functions that"
    " the training crystals taught.",
}
INPUTS = {  # what it reads of a powder pattern
    "patterns": "as `crystalnet.physics.diffraction.powder_pattern` makes it from a structure, or"
    " `binned_pattern` from peaks",
    "profiles": "as `crystalnet.physics.profiles.log_profile` makes it from peaks of any wavelength, or"
    " `patterns_and_profiles` from structures",
}
OTHER_SOURCE = "The training structures are under the licence of their source."


def model_card(name: str, record: Record) -> str:
    """The card of a network, Markdown.

    Args:
        name: what `crystalnet.load` knows it by.
        record: read are system, profile, manifest, scores, scores_dft and provenance().

    >>> from crystalnet.runs.records import records
    >>> model_card("cubic", records()[0]).splitlines()[0]
    '# CrystalNet cubic'
    """
    manifest = record.manifest
    training = manifest["history.csv"]
    params = training["params"]
    data = params["data"]
    network = networks.build(training["model"])
    n_parameters = sum(p.numel() for p in network.parameters())
    counts = ", ".join(f"{manifest[split]:,} {split}" for split in ("train", "val", "test"))
    if n_altered := manifest.get(ALTERED):
        counts += f", {n_altered:,} altered copies of training crystals"
    n_samples = manifest["scores.csv"]["CrystalNet"]["n_samples"]
    from_mp = record.scores["material_id"].str.startswith("mp-").all()
    cell = CELLS[data["cell"]].format(source="the Materials Project" if from_mp else "the source")
    duration = timedelta(seconds=round(training["training_seconds"]))
    settings = yaml.safe_dump({group: params[group] for group in ("model", "training")}, sort_keys=False)
    sections = [
        f"# CrystalNet {name}",
        f"{KINDS[training['model'].get('field', 'film')]} From the powder pattern and the composition of a"
        f" {record.system} crystal it gives the valence electron density, e/Å^3, at any point of the"
        f" primitive cell. {n_parameters:,} trainable parameters.",
        "## Loading",
        f'```python\nimport crystalnet\nnetwork = crystalnet.load("{name}")\n'
        f"density = network.answer(pattern, composition, n={data['n_grid']})\n```",
        f"`pattern`: ({network.n_bins},), highest bin 1, {INPUTS[network.reads]}. `composition`:"
        f" ({N_ELEMENTS},) atomic fractions, as `crystalnet.data.crystals.composition_vector` makes them."
        " Where it was calibrated, `network.expected_similarity(pattern, composition)` says how good an"
        " answer to expect.",
        "## Data",
        f"- crystals: {counts}; {manifest['split']} split; data {manifest['data_hash'][:10]}\n"
        f"- density: {manifest['density_source']}, on {cell}\n"
        f"- patterns: computed, ideal, Mo K-alpha ({MO_K_ALPHA} Å)",
        "## Training",
        f"- {training['epochs']} epochs (profile {record.profile}){_began(params['training'])}\n"
        f"- {training['environment']['hardware']}, {duration} (h:min:s)",
        f"```yaml\n{settings}```",
        "## Scores on test crystals",
        _table(record.scores),
        f"- *paper*: the best of {n_samples} samples in all rotations of the cube, chosen by looking at the"
        " truth; for comparison with the paper alone\n"
        "- *honest*: one answer, chosen without the truth, laid onto it by an operation and an origin that a"
        " powder pattern cannot see\n\n"
        "Scored before the weights were rounded for the file.",
        *_against_dft(record.scores_dft),
        f"Provenance: {record.provenance()}",
        "## Intended use and limits",
        "For research and teaching: a first density from a pattern and a composition, to be refined and"
        " checked.\n\n"
        f"- {record.system.capitalize()} crystals only. Of any other crystal it gives a wrong density without"
        " a warning.\n"
        f"- Densities are on {cell}; the network does not find the lattice.\n"
        "- A powder pattern fixes neither origin nor orientation nor handedness: an answer is right up to"
        " these.\n"
        f"- Trained on {manifest['density_source']} densities.{_promolecule(manifest['density_source'])}\n"
        f"- {_measured(params['training'])}",
        "## Licence",
        f"Code and weights: MIT. {MATERIALS_PROJECT if from_mp else OTHER_SOURCE}",
    ]
    return "\n\n".join(sections) + "\n"


def _table(scores: pd.DataFrame) -> str:
    """Both protocols of every predictor; columns as in `records`' scores.csv."""
    header = "predictor", "protocol", "crystals", "SSIM mean", "median", "> 0.9", "< 0.5", "PSNR, dB"
    rows = [header, ["---", "---", *["---:"] * 6]]
    for predictor, table in scores.groupby("predictor", sort=False):
        numbers = summary(table)
        for protocol in ("paper", "honest"):
            similarity = numbers[f"{protocol}_ssim"], numbers[f"{protocol}_ssim_median"]
            shares = numbers[f"{protocol}_above_0.9"], numbers[f"{protocol}_below_0.5"]
            rows.append(
                [
                    *(predictor, protocol, str(len(table))),
                    *[f"{value:.3f}" for value in similarity],
                    *[f"{share:.1%}" for share in shares],
                    f"{numbers[f'{protocol}_psnr']:.2f}",
                ]
            )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _against_dft(scores: pd.DataFrame | None) -> list[str]:
    if scores is None:
        return []
    return [
        "## Scores against densities from DFT",
        "Where a test crystal has one, a density calculated by DFT is the truth instead.",
        _table(scores),
    ]


def _began(training: dict) -> str:
    if not training.get("begins_with"):
        return ""
    return f"; they begin with the network `{training['begins_with']}`"


def _measured(training: dict) -> str:
    if share := training.get("degraded"):
        return (
            f"Trained on computed patterns, {share:.0%} of them as a laboratory's are: angles that end, broad"
            " peaks, weak ones lost, wrong intensities. Background and impurities are new to it."
        )
    return (
        "Trained on computed patterns: background, texture, impurities and broad peaks of a measured one are"
        " new to it."
    )


def _promolecule(density_source: str) -> str:
    if "promolecule" not in density_source:
        return ""
    return " A promolecule superposes free atoms: it knows no bonds and no charge transfer."
