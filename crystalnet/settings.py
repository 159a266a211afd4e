"""The groups of settings, typed: name, default, range and meaning of each. Every default is the paper's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

CrystalSystem = Literal[
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
]
Level = Literal["baseline", "no_ratios", "drop_element", "no_formula"]
MIXED = "bf16-mixed"  # the precision that multiplies in bfloat16
PAPER = {"json_schema_extra": {"source": "paper or its code"}}  # where a default comes from; others are ours


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, field: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[field.field_name].annotation is not bool:
            raise ValueError("Give a number or text, not true or false")
        return value


class DataParams(Group):
    """Where crystals come from and how they are split (paper, 'Dataset')."""

    source: str = Field(
        "prototypes",
        description="'prototypes' (embedded), 'materials_project' (with a key), or a file or folder",
    )
    crystal_systems: tuple[CrystalSystem, ...] = Field(
        ("cubic", "trigonal"), description="one model for each", **PAPER
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
    n_grid: int = Field(50, ge=14, description="voxels an axis of a CMED", **PAPER)
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
    width: int = Field(
        512, ge=8, description="embedding size; every other linear layer scales with it", **PAPER
    )
    growth: int = Field(8, ge=1, description="channels each convolution of the pattern encoder adds", **PAPER)
    n_frequencies: int = Field(128, ge=1, description="Fourier features of a position", **PAPER)
    frequency_scale: float = Field(3.0, gt=0, description="standard deviation of random frequencies", **PAPER)
    frequencies: Literal["random", "periodic"] = Field(
        "random",
        description="'random' as in the paper, or integer vectors that repeat with the lattice",
        **PAPER,
    )
    n_blocks: int = Field(3, ge=0, description="blocks of the density regressor", **PAPER)
    sigma: Literal["signed", "positive"] = Field(
        "signed", description="the bare output of its encoder as in the paper, or through a softplus", **PAPER
    )
    reads: Literal["patterns", "profiles"] = Field(
        "patterns", description="the paper's bins of two_theta, or peaks on a log d axis", **PAPER
    )
    elements: Literal["fractions", "properties"] = Field(
        "fractions", description="atomic fractions alone, or what the elements are like as well", **PAPER
    )
    encoders: Literal["dense", "windows"] = Field(
        "dense", description="the paper's, or those of the spectral network", **PAPER
    )
    code: int | None = Field(None, ge=1, description="components of each code; null: the width", **PAPER)
    hidden: int = Field(1024, ge=2, description="size of the layers in encoders of windows")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden values that these leave out")
    shortcut: bool = Field(
        False, description="the regressor's last layer sees the conditioned position as well", **PAPER
    )
    regresses: Literal["density", "amplitude"] = Field(
        "density", description="the regressor gives the density, or its square root", **PAPER
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
    dropout: float = Field(0.15, ge=0, lt=1, description="share of hidden values left out in training")


NO_NUMBERS = {"checkpoint_seconds"}  # settings of training that change no weight


class TrainingParams(Group):
    """Loss, schedule, points, augmentation, validation (paper, 'Training Process')."""

    epochs: int = Field(1500, ge=1, description="passes over the training crystals", **PAPER)
    begins_with: str | None = Field(
        None, description="a network of the package that is trained on; by default a fresh one is"
    )
    encoders_from: str | None = Field(None, description="a spectral network whose encoders are taken")
    batch_size: int = Field(128, ge=2, description="crystals a step", **PAPER)
    strata: int = Field(10, ge=1, description="strata^3 points a crystal and step", **PAPER)
    points: Literal["own", "shared"] = Field(
        "own", description="drawn for each crystal, or once a step", **PAPER
    )
    loss: Literal["density", "amplitude"] = Field(
        "density",
        description="mean error of the density, or errors of its square root, crystal by crystal",
        **PAPER,
    )
    learning_rate: float = Field(1e-3, gt=0, description="where each cosine cycle begins (Adam)", **PAPER)
    lowest_learning_rate: float = Field(1e-6, gt=0, description="where each cosine cycle ends", **PAPER)
    restart_epochs: int = Field(100, ge=1, description="length of the first cosine cycle", **PAPER)
    restart_factor: int = Field(2, ge=1, description="each cycle is so many times longer", **PAPER)
    weight_decay: float = Field(0.0, ge=0, description="decoupled from the gradient (AdamW)", **PAPER)
    largest_gradient: float | None = Field(None, gt=0, description="longer gradients are cut to this norm")
    kl_weight: float = Field(
        0.05, ge=0, description="of the KL term, beside the error of the density", **PAPER
    )
    max_shift_bins: int = Field(
        3,
        ge=0,
        description="of the pattern: 3 are 0.5 degrees; on a log d axis the crystal is stretched",
        **PAPER,
    )
    noise: float = Field(1e-3, ge=0, description="of pattern and composition", **PAPER)
    degraded: float = Field(
        0.0, ge=0, le=1, description="share of profiles that are seen as a laboratory would measure them"
    )
    validate_every: int = Field(1, ge=1, description="epochs", **PAPER)
    val_samples: int = Field(2, ge=1, description="guesses a validation crystal", **PAPER)
    val_grid: int = Field(25, ge=7, description="voxels an axis in validation", **PAPER)
    max_val: int | None = Field(
        250, ge=1, description="first so many validation crystals; null: all", **PAPER
    )
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

    n_samples: int = Field(5, ge=1, description="guesses of the 'paper' protocol", **PAPER)
    max_test: int | None = Field(500, ge=1, description="first so many test crystals; null: all", **PAPER)
    patterns: str = Field(
        "exact", description="what test patterns are like: a name in scoring.challenges.CHALLENGES"
    )
    spoilt: tuple[str, ...] = Field(
        (),
        description="more names there: test patterns that the network is scored on as well, by the ablations'"
        " protocol, beside the network that it begins with",
    )
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

    levels: tuple[Level, ...] = Field(
        ("baseline", "no_ratios", "drop_element", "no_formula"),
        description="what is known of the composition, a network each",
        **PAPER,
    )
    variants: dict[str, dict[str, dict[str, Any]]] = Field(
        {}, description="changes to measure beside the baseline level: {name: {group: {key: value}}}"
    )
    epochs: int = Field(700, ge=1, description="in the place of training.epochs", **PAPER)
    strata: int = Field(8, ge=1, description="in the place of training.strata", **PAPER)
    val_samples: int = Field(1, ge=1, description="in the place of training.val_samples", **PAPER)
    n_samples: int = Field(3, ge=1, description="in the place of evaluation.n_samples", **PAPER)
    max_test: int | None = Field(500, ge=1, description="in the place of evaluation.max_test", **PAPER)


class SolvingParams(Group):
    """Which crystals are solved, and from what (chapter 9)."""

    challenges: tuple[str, ...] = Field(
        ("exact", "intensity errors", "no ratios"), description="names in scoring.challenges.CHALLENGES"
    )
    most: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {"others": 100}, description="test crystals a challenge; 'others' for those not named"
    )
    seconds: float = Field(25.0, gt=0, description="for each source of candidates and crystal")
    seed: int = Field(0, description="of the draw of crystals")
