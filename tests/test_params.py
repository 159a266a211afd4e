"""Settings: the paper's defaults, profiles, and errors that name the key."""

from pathlib import Path

import pytest
import yaml

from crystalnet.errors import CrystalNetError
from crystalnet.params import Params, repository_root

PROFILES = sorted(path.stem for path in (Path(__file__).parents[1] / "params").glob("*.yaml"))


def test_defaults_are_the_papers():
    params = Params()
    assert (params.data.n_grid, params.data.crystal_systems) == (50, ("cubic", "trigonal"))
    model = params.model
    assert (model.width, model.growth, model.n_frequencies, model.frequency_scale) == (512, 8, 128, 3.0)
    assert (model.frequencies, model.n_blocks) == ("random", 3)
    training = params.training
    assert (training.epochs, training.batch_size, training.strata**3) == (1500, 128, 1000)
    assert (training.learning_rate, training.lowest_learning_rate) == (1e-3, 1e-6)
    assert (training.restart_epochs, training.restart_factor, training.kl_weight) == (100, 2, 0.05)
    assert (training.max_shift_bins, training.noise) == (3, 1e-3)
    assert (training.validate_every, training.val_grid) == (1, 25)
    assert (training.val_samples, training.max_val) == (2, 250)
    assert (params.evaluation.n_samples, params.evaluation.max_test) == (5, 500)
    ablations = params.ablations
    assert (ablations.epochs, ablations.strata) == (700, 8)
    assert (ablations.val_samples, ablations.n_samples) == (1, 3)
    assert ablations.levels == ("baseline", "no_ratios", "drop_element", "no_formula")


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_load_and_say_their_name(profile):
    content = yaml.safe_load((repository_root() / "params" / f"{profile}.yaml").read_text())
    assert content["profile"] == profile
    params = Params.load(profile).model_dump(mode="json")
    for group, values in content.items():
        for key, value in values.items() if isinstance(values, dict) else ():
            assert params[group][key] == value


@pytest.mark.parametrize("profile", ["cubic", "trigonal"])
def test_full_size_profiles_keep_network_and_schedule_of_the_paper(profile):
    params, paper = Params.load(profile), Params()
    assert params.model == paper.model and params.evaluation.n_samples == paper.evaluation.n_samples
    here = {"accelerator": "cpu", "precision": "32-true"}
    assert params.training.model_copy(update=here) == paper.training


def test_changes_merge_key_by_key():
    params = Params.load("smoke", training={"epochs": 7}, data={"seed": 3})
    smoke = Params.load("smoke")
    assert (params.training.epochs, params.data.seed) == (7, 3)
    assert params.training.model_copy(update={"epochs": smoke.training.epochs}) == smoke.training
    assert params.data.model_copy(update={"seed": smoke.data.seed}) == smoke.data
    assert params.model == smoke.model
    assert Params.load("smoke", ablations={}, model={}) == smoke


def test_a_profile_changes_what_it_names_alone():
    params, paper = Params.load("smoke"), Params()
    assert params.training.kl_weight == paper.training.kl_weight
    assert params.training.epochs != paper.training.epochs


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"training": {"epoch": 3}}, ["training.epoch", "not a setting", "epochs", "kl_weight"]),
        ({"trainig": {"epochs": 3}}, ["trainig", "not a setting", "training", "evaluation"]),
        ({"training": {"epochs": 0}}, ["training.epochs = 0", "greater than or equal to 1"]),
        ({"training": {"epochs": "many"}}, ["training.epochs = 'many'", "integer"]),
        ({"data": {"split": "best"}}, ["data.split = 'best'", "'published'", "'held_out_types'"]),
        ({"data": {"crystal_systems": ["cubist"]}}, ["data.crystal_systems", "'cubist'", "'cubic'"]),
        ({"ablations": {"levels": ["none"]}}, ["ablations.levels", "'none'", "'no_formula'"]),
        ({"training": 3}, ["training must be a mapping", "3"]),
        ({"model": {"wide": 1}, "data": {"n_grid": 2}}, ["model.wide", "data.n_grid = 2"]),
    ],
)
def test_errors_name_key_and_remedy(changes, names):
    with pytest.raises(CrystalNetError) as error:
        Params.load("smoke", **changes)
    assert all(name in str(error.value) for name in names)
    assert "pydantic" not in str(error.value)


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(CrystalNetError) as error:
        Params.load("quik")
    assert "params/quik.yaml" in str(error.value) and ", ".join(PROFILES) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data: [1", "not valid YAML"),
        ("- data", "must map group names"),
        ("data: 3", r"data = 3"),
        ("dta:\n  seed: 1", "dta is not a setting"),
    ],
)
def test_a_broken_profile_is_one_clear_error(tmp_path, monkeypatch, content, message):
    for folder in ("params", "book"):
        (tmp_path / folder).mkdir()
    (tmp_path / "params" / "mine.yaml").write_text(content)
    monkeypatch.chdir(tmp_path / "book")
    assert repository_root() == tmp_path
    with pytest.raises(CrystalNetError, match=message):
        Params.load("mine")


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Params().training.epochs = 3
