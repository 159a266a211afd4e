"""Typed settings behind params/*.yaml. Every default is the paper's; a profile changes what it names.

A notebook starts from a profile (`params/<profile>.yaml`) and may change single keys, group by group. An
unknown key is an error that names it and the keys there are. Nothing below the notebooks reads a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from crystalnet.errors import CrystalNetError

CrystalSystem = Literal[
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
]
Level = Literal["baseline", "no_ratios", "drop_element", "no_formula"]
MIXED = "bf16-mixed"  # the precision that multiplies in bfloat16


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataParams(Group):
    """Where crystals come from and how they are split (paper, 'Dataset')."""

    source: str = Field(
        "prototypes",
        description="'prototypes' (embedded), 'materials_project' (with a key), or a file or folder",
    )
    crystal_systems: tuple[CrystalSystem, ...] = Field(
        ("cubic", "trigonal"), description="one model for each"
    )
    n_crystals: int | None = Field(
        None, ge=10, description="at most so many are read for each crystal system; null: all"
    )
    max_atoms: int | None = Field(
        None, ge=1, description="crystals with more atoms in the primitive cell are left out"
    )
    id_lists: str | None = Field(
        None,
        description="folder of the authors' id lists; the crystals they name are taken, with their split",
    )
    split: Literal["random", "published", "no_swap_neighbour", "held_out_types", "held_out_pairs"] = Field(
        "random", description="'published' takes the source's own labels or those of id_lists"
    )
    cell: Literal["given", "canonical"] = Field(
        "given", description="'canonical': one origin and choice of axes for every crystal of a type"
    )
    density: Literal["promolecule", "dft", "available"] = Field(
        "available", description="'available': DFT for crystals that bring one, promolecule for all others"
    )
    n_grid: int = Field(50, ge=14, description="voxels an axis of a CMED")
    chgcar_method: Literal["fourier", "paper"] = Field("fourier", description="how a CHGCAR becomes a CMED")
    variations: int = Field(
        0, ge=0, description="altered copies of each training crystal, promolecules all, to train on as well"
    )
    seed: int = Field(0, description="of the embedded crystals, the split's draw and the altered copies")
    compare_densities: tuple[str, ...] = Field(
        (), description="folders of DFT densities that chapter 3 sets beside promolecules, with its own set"
    )
    connections: int = Field(4, ge=1, le=16, description="downloads at the same time")
    keep_chgcar: bool = Field(
        False, description="keep downloaded CHGCARs, about 10 MB each, beside the CMEDs"
    )
    refresh: bool = Field(False, description="ask the source again, for what failed before")
    scheduler: str | None = Field(
        None, description="address of a Dask scheduler whose workers build the data; null: this machine"
    )


class FilmParams(Group):
    """Size of the paper's network (paper, Fig. 6)."""

    field: Literal["film"] = Field("film", description="density by a coordinate network, as in the paper")
    width: int = Field(512, ge=8, description="embedding size; every other linear layer scales with it")
    growth: int = Field(8, ge=1, description="channels each convolution of the pattern encoder adds")
    n_frequencies: int = Field(128, ge=1, description="Fourier features of a position")
    frequency_scale: float = Field(3.0, gt=0, description="standard deviation of random frequencies")
    frequencies: Literal["random", "periodic"] = Field(
        "random", description="'random' as in the paper, or integer vectors that repeat with the lattice"
    )
    n_blocks: int = Field(3, ge=0, description="blocks of the density regressor")
    sigma: Literal["signed", "positive"] = Field(
        "signed", description="the bare output of its encoder as in the paper, or through a softplus"
    )


class SpectralParams(Group):
    """Size of the spectral network."""

    field: Literal["spectral"] = Field("spectral", description="density as the square of a Fourier series")
    width: int = Field(256, ge=1, description="components of the code of pattern, and of composition")
    hidden: int = Field(1024, ge=1, description="size of the layers between")
    n_components: int = Field(384, ge=1, description="functions that a density is made of")
    radius: int = Field(12, ge=1, description="of the sphere of plane waves in the functions")
    basis: Literal["learned", "plane waves"] = Field(
        "learned", description="principal components of the training crystals, or the shortest waves"
    )
    reads: Literal["profiles", "patterns"] = Field(
        "profiles", description="peaks on a log d axis, or the paper's bins of two_theta"
    )
    elements: Literal["properties", "fractions"] = Field(
        "properties", description="what the elements are like, or their fractions alone"
    )
    dropout: float = Field(0.15, ge=0, lt=1)


NO_NUMBERS = {"checkpoint_seconds"}  # settings of training that change no weight


class TrainingParams(Group):
    """Loss, schedule, points, augmentation, validation (paper, 'Training Process')."""

    epochs: int = Field(1500, ge=1)
    batch_size: int = Field(128, ge=2, description="crystals a step")
    strata: int = Field(10, ge=1, description="strata^3 points a crystal and step")
    points: Literal["own", "shared"] = Field("own", description="drawn for each crystal, or once a step")
    loss: Literal["density", "amplitude"] = Field(
        "density", description="mean error of the density, or errors of its square root, crystal by crystal"
    )
    learning_rate: float = Field(1e-3, gt=0)
    lowest_learning_rate: float = Field(1e-6, gt=0, description="where each cosine cycle ends")
    restart_epochs: int = Field(100, ge=1, description="length of the first cosine cycle")
    restart_factor: int = Field(2, ge=1, description="each cycle is so many times longer")
    weight_decay: float = Field(0.0, ge=0, description="decoupled from the gradient (AdamW)")
    largest_gradient: float | None = Field(None, gt=0, description="longer gradients are cut to this norm")
    kl_weight: float = Field(0.05, ge=0)
    max_shift_bins: int = Field(
        3, ge=0, description="of the pattern: 3 are 0.5 degrees; on a log d axis the crystal is stretched"
    )
    noise: float = Field(1e-3, ge=0, description="of pattern and composition")
    validate_every: int = Field(1, ge=1, description="epochs")
    val_samples: int = Field(2, ge=1)
    val_grid: int = Field(25, ge=7)
    max_val: int | None = Field(250, ge=1)
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(
        "cpu", description="'auto' takes a GPU if there is one"
    )
    devices: int = Field(1, ge=1, description="that share each batch, a process each")
    precision: Literal["32-true", "bf16-mixed"] = Field(
        "32-true", description="'bf16-mixed' multiplies in bfloat16; weights and statistics stay float32"
    )
    compiled: bool = Field(False, description="torch.compile; costs a minute, gains nothing on CPUs")
    checkpoint_seconds: float = Field(60, ge=0, description="at most so much work is lost when interrupted")
    networks_at_once: int = Field(
        1, ge=1, description="trained and scored side by side, with an equal share of the cores"
    )
    seed: int = Field(0, description="of weights, batches, points and noise")


class EvaluationParams(Group):
    """Test-time protocol (paper, 'Evaluation Setup')."""

    n_samples: int = Field(5, ge=1, description="guesses of the 'paper' protocol")
    max_test: int | None = Field(500, ge=1, description="first so many test crystals")
    seed: int = Field(0, description="of the guesses")
    precision: Literal["32-true", "bf16-mixed"] = Field("32-true", description="of the network's answers")
    densities: str | None = Field(
        None,
        description="folder of DFT densities by material id: test crystals that have one are scored against"
        " it as well",
    )


class AblationParams(Group):
    """The pared-down protocol of Table 2 and of the deviations.

    Whatever is not here is as in `training` and `evaluation`.
    """

    levels: tuple[Level, ...] = Field(("baseline", "no_ratios", "drop_element", "no_formula"))
    variants: dict[str, dict[str, dict[str, Any]]] = Field(
        {}, description="changes to measure beside the baseline level: {name: {group: {key: value}}}"
    )
    epochs: int = Field(700, ge=1)
    strata: int = Field(8, ge=1)
    val_samples: int = Field(1, ge=1)
    n_samples: int = Field(3, ge=1)
    max_test: int | None = Field(500, ge=1)


def _field(model: Any) -> str | None:
    """Which network some settings are of: the paper's, unless they say otherwise."""
    return model.get("field", "film") if isinstance(model, dict) else getattr(model, "field", None)


class Params(Group):
    """All settings of a run."""

    profile: str = Field("paper", description="params/<profile>.yaml, where these settings started")
    data: DataParams = DataParams()
    model: Annotated[
        Annotated[FilmParams, Tag("film")] | Annotated[SpectralParams, Tag("spectral")],
        Discriminator(_field),
    ] = FilmParams()
    training: TrainingParams = TrainingParams()
    evaluation: EvaluationParams = EvaluationParams()
    ablations: AblationParams = AblationParams()

    @classmethod
    def load(cls, profile: str = "quick", **changes: dict) -> Params:
        """Settings of a profile with single keys changed, e.g. `load("quick", training={"epochs": 3})`.

        Raises:
            CrystalNetError: no such profile, an unknown group or key, a value out of range.
        """
        params = cls._of({**_changed(_read_profile(profile), changes), "profile": profile})
        for name in params.ablations.variants:
            params.variant(name)  # an error now, not after the training
        return params

    def variant(self, name: str) -> Params:
        """These settings with the changes of one of `ablations.variants`.

        Raises:
            CrystalNetError: no such variant, an unknown group or key, a value out of range.
        """
        if name not in (variants := self.ablations.variants):
            raise CrystalNetError(
                f"There is no variant {name!r} in ablations.variants. Choose one of {', '.join(variants)}."
            )
        try:
            return self._of(_changed(self.model_dump(), variants[name]))
        except CrystalNetError as error:
            raise CrystalNetError(f"ablations.variants, {name!r}: {error}") from None

    @classmethod
    def _of(cls, groups: dict) -> Params:
        try:
            return cls(**groups)
        except ValidationError as error:
            raise CrystalNetError(_explained(error, groups["profile"])) from None


def repository_root() -> Path:
    """The nearest folder at or above the working directory that holds params/ and book/."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "params").is_dir() and (folder / "book").is_dir():
            return folder
    raise CrystalNetError(f"{here} is not inside the CrystalNet repository. Change to it and try again.")


def _read_profile(profile: str) -> dict:
    folder = repository_root() / "params"
    path = folder / f"{profile}.yaml"
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        names = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise CrystalNetError(f"There is no params/{profile}.yaml. Choose one of {names}.") from None
    except yaml.YAMLError as error:
        raise CrystalNetError(f"{path.name} is not valid YAML: {error}. Correct it.") from None
    if not isinstance(content, dict):
        raise CrystalNetError(
            f"{path.name} must map group names to settings. Compare it with params/quick.yaml."
        )
    return content


def _changed(groups: dict, changes: dict) -> dict:
    """Settings with single keys changed, group by group; another kind of network starts from its defaults."""
    groups = dict(groups)
    for group, values in changes.items():
        if not isinstance(values, dict):
            raise CrystalNetError(
                f"{group} must be a mapping of settings, not {values!r}. Write {group} = {{}}."
            )
        before = groups.get(group) or {}
        if group == "model" and "field" in values and values["field"] != _field(before):
            before = {}
        groups[group] = {**before, **values}
    return groups


def _explained(error: ValidationError, profile: str) -> str:
    lines = []
    for problem in error.errors():
        *groups, key = [str(part) for part in problem["loc"]]
        if groups[:1] == ["model"]:  # pydantic names the kind of network as well
            kind = groups.pop(1) if groups[1:] else "film"
        if problem["type"] == "extra_forbidden":
            group = Params.model_fields[groups[0]].annotation if groups else Params
            group = {"film": FilmParams, "spectral": SpectralParams}[kind] if groups == ["model"] else group
            lines.append(
                f"{'.'.join([*groups, key])} is not a setting. Allowed: {', '.join(group.model_fields)}."
            )
        else:
            lines.append(f"{'.'.join([*groups, key])} = {problem['input']!r}: {problem['msg']}.")
    return f"Settings (profile {profile!r}): " + " ".join(lines)
