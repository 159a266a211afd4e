"""A run's settings, typed (see `settings`): a profile of params/*.yaml, changed and checked.

A notebook starts from a profile (`params/<profile>.yaml`) and may change single keys, group by group. An
unknown key is an error that names it and the keys there are. Nothing below the notebooks reads a file.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, ValidationError

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.yaml_text import read_yaml
from crystalnet.settings import (
    AblationParams,
    DataParams,
    EvaluationParams,
    FilmParams,
    Group,
    SolvingParams,
    SpectralParams,
    TrainingParams,
)


def _field(model: Any) -> str | None:
    """Which network some settings are of: the paper's, unless they say otherwise."""
    return model.get("field", "film") if isinstance(model, dict) else getattr(model, "field", None)


class Params(Group):
    """All settings of a run. Where nothing is said they are the paper's.

    >>> params = Params.load("quick", training={"epochs": 3})
    >>> params.profile, params.training.epochs
    ('quick', 3)
    >>> Params.of_chapter({"profile": "quick", "training": {"epochs": 3}}) == params
    True
    >>> params = Params.load("quick", ablations={"variants": {"narrow": {"model": {"width": 16}}}})
    >>> params.variant("narrow").model.width
    16
    >>> (repository_root() / "params").is_dir()
    True
    """

    profile: str = Field("paper", description="params/<profile>.yaml, where these settings started")
    data: DataParams = DataParams()
    model: Annotated[
        Annotated[FilmParams, Tag("film")] | Annotated[SpectralParams, Tag("spectral")],
        Discriminator(_field),
    ] = FilmParams()
    training: TrainingParams = TrainingParams()
    evaluation: EvaluationParams = EvaluationParams()
    ablations: AblationParams = AblationParams()
    solving: SolvingParams = SolvingParams()
    spectral: str = Field("spectral_cubic", description="profile of the spectral network that is set beside")

    @classmethod
    def load(cls, profile: str = "quick", **changes: dict) -> Params:
        """Settings of a profile with single keys changed, e.g. `load("quick", training={"epochs": 3})`.

        Raises:
            CrystalNetError: no such profile, an unknown group or key, a value out of range.
        """
        params = cls._of({**_changed(_read_profile(profile), changes), "profile": profile})
        for name in params.ablations.variants:
            params.variant(name)  # an error now, not after the training
        params._check_challenges()
        return params

    @classmethod
    def of_chapter(cls, names: dict) -> Params:
        """Settings of a chapter, from its `globals()`: the profile, and changes of groups by their names.

        What papermill was given beside them is no setting: papermill itself runs on without it.

        Raises:
            CrystalNetError: see `load`.
        """
        given = {name: names[name] for name in _injected(names) | cls.model_fields.keys() if name in names}
        return cls.load(given.pop("profile", "quick"), **given)

    def _check_challenges(self) -> None:
        """The names of challenges in the settings, beyond the usual ones."""
        asked = {
            "evaluation.patterns": [self.evaluation.patterns],
            "evaluation.spoilt": self.evaluation.spoilt,
            "solving.challenges": self.solving.challenges,
            "solving.most": self.solving.most,
        }
        if "others" not in self.solving.most:
            raise CrystalNetError(
                f"Settings (profile {self.profile!r}): solving.most = {self.solving.most} lacks 'others', for"
                " challenges that it does not name. Give it.",
                Code.BAD_SETTING,
            )
        usual = {"others", EvaluationParams().patterns, *SolvingParams().challenges}
        for key, names in asked.items():
            for name in set(names) - usual:
                from crystalnet.scoring.challenges import challenge_of  # seconds that most do without

                try:
                    challenge_of(name)
                except CrystalNetError as error:
                    raise CrystalNetError(
                        f"Settings (profile {self.profile!r}): {key} = {name!r}. {error}", Code.BAD_SETTING
                    ) from None

    def variant(self, name: str) -> Params:
        """These settings with the changes of one of `ablations.variants`.

        Raises:
            CrystalNetError: no such variant, an unknown group or key, a value out of range.
        """
        if name not in (variants := self.ablations.variants):
            raise CrystalNetError(
                f"There is no variant {name!r} in ablations.variants. Choose one of {', '.join(variants)}.",
                Code.BAD_SETTING,
            )
        try:
            return self._of(_changed(self.model_dump(), variants[name]))
        except CrystalNetError as error:
            raise CrystalNetError(f"ablations.variants, {name!r}: {error}", error.code) from None

    @classmethod
    def _of(cls, groups: dict) -> Params:
        try:
            return cls(**groups)
        except ValidationError as error:
            raise CrystalNetError(_explained(error, groups["profile"]), Code.BAD_SETTING) from None


def repository_root() -> Path:
    """The nearest folder at or above the working directory that holds params/ and book/."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "params").is_dir() and (folder / "book").is_dir():
            return folder
    raise CrystalNetError(
        f"{here} is not inside the CrystalNet repository. Change to it and try again.", Code.BAD_ARGUMENT
    )


def _read_profile(profile: str) -> dict:
    folder = repository_root() / "params"
    path = folder / f"{profile}.yaml"
    try:
        content = read_yaml(path.read_text(encoding="utf-8-sig"), path.name) or {}
    except FileNotFoundError:
        names = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise CrystalNetError(
            f"There is no params/{profile}.yaml. Choose one of {names}.", Code.FILE_MISSING
        ) from None
    except UnicodeDecodeError as error:
        raise CrystalNetError(
            f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.",
            Code.FILE_UNREADABLE,
        ) from None
    except OSError as error:
        raise CrystalNetError(
            f"{path.name} can't be read ({error.strerror}). Correct its permissions.", Code.FILE_UNREADABLE
        ) from None
    if not isinstance(content, dict):
        raise CrystalNetError(
            f"{path.name} must map group names to settings. Compare it with params/quick.yaml.",
            Code.BAD_SETTING,
        )
    return content


def _injected(names: dict) -> set[str]:
    """Names that papermill set in a notebook: those that the cell that it adds assigns."""
    cells = [code for code in names.get("In", []) if code.startswith("# Parameters\n")]
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell))]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _changed(groups: dict, changes: dict) -> dict:
    """Settings with single keys changed, group by group; another kind of network starts from its defaults."""
    groups = dict(groups)
    for group, values in changes.items():
        if group not in Params.model_fields:
            raise CrystalNetError(
                f"{group} is not a setting. Allowed: {', '.join(Params.model_fields)}.", Code.BAD_SETTING
            )
        if group == "spectral" and isinstance(values, str | None):
            groups |= {group: values} if values else {}
            continue
        if not isinstance(values, dict):
            raise CrystalNetError(
                f"{group} must be a mapping of settings, not {values!r}. Write {group} = {{}}.",
                Code.BAD_SETTING,
            )
        before = groups.get(group) or {}
        if not isinstance(before, dict):
            raise CrystalNetError(
                f"{group} = {before!r} has no keys to change. Change it in the profile's own file.",
                Code.BAD_SETTING,
            )
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
        if problem["type"].startswith("union_tag"):
            lines.append(f"model.field = {_field(problem['input'])!r}: choose 'film' or 'spectral'.")
        elif problem["type"] == "extra_forbidden":
            group = Params.model_fields[groups[0]].annotation if groups else Params
            group = {"film": FilmParams, "spectral": SpectralParams}[kind] if groups == ["model"] else group
            lines.append(
                f"{'.'.join([*groups, key])} is not a setting. Allowed: {', '.join(group.model_fields)}."
            )
        else:
            lines.append(f"{'.'.join([*groups, key])} = {problem['input']!r}: {problem['msg']}.")
    return f"Settings (profile {profile!r}): " + " ".join(lines)
