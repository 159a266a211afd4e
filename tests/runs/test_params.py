"""Settings: the paper's defaults, profiles, and errors that name the key."""

from pathlib import Path

import pytest
import yaml

from crystalnet.errors import CrystalNetError
from crystalnet.runs.params import Params, repository_root
from crystalnet.settings import FilmParams, SpectralParams

PROFILES = sorted(path.stem for path in (Path(__file__).parents[2] / "params").glob("*.yaml"))


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
        ({"model": {"field": "splines"}}, ["model.field", "'splines'", "'film'", "'spectral'"]),
        ({"model": {"field": None}}, ["model.field", "None", "'film'", "'spectral'"]),
        ({"model": {"radius": 3}}, ["model.radius is not a setting", "n_frequencies"]),
        ({"model": {"field": "spectral", "growth": 2}}, ["model.growth is not a setting", "radius"]),
        ({"model": {"field": "spectral", "dropout": 1}}, ["model.dropout = 1", "less than 1"]),
        ({"model": {"field": "spectral", "basis": "x"}}, ["model.basis = 'x'", "'plane waves'"]),
        ({"training": {"loss": "l2", "points": "all"}}, ["training.loss", "'amplitude'", "training.points"]),
        ({"training": {"largest_gradient": 0}}, ["training.largest_gradient = 0", "greater than 0"]),
        ({"ablations": {"variants": ["x"]}}, ["ablations.variants = ['x']"]),
        ({"ablations": {"variants": {"x": {"data": 3}}}}, ["ablations.variants.x.data = 3"]),
        ({"spectral": {"name": "x"}}, ["spectral"]),
        ({"profle": "quick"}, ["profle is not a setting", "profile"]),
        ({"training": {"learning_rate": float("inf")}}, ["training.learning_rate = inf", "finite"]),
        ({"training": {"noise": float("nan")}}, ["training.noise = nan", "finite"]),
        ({"training": {"epochs": True}}, ["training.epochs = True", "number"]),
        ({"evaluation": {"patterns": "nonsense"}}, ["evaluation.patterns", "'nonsense'", "exact"]),
        ({"evaluation": {"spoilt": ["x"]}}, ["evaluation.spoilt", "'x'", "exact"]),
        ({"solving": {"challenges": ["exacct"]}}, ["solving.challenges", "'exacct'", "exact"]),
        ({"solving": {"most": {"others": -5}}}, ["solving.most.others = -5"]),
        ({"solving": {"most": {"exact": 5}}}, ["solving.most", "'others'"]),
    ],
)
def test_errors_name_key_and_remedy(changes, names):
    with pytest.raises(CrystalNetError) as error:
        Params.load("smoke", **changes)
    assert all(name in str(error.value) for name in names)
    assert not any(word in str(error.value) for word in ("pydantic", "tag", "_field"))


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
        ("model: 3", r"model"),
        ("model:\n  field: film\n  radius: 3", r"model.radius is not a setting"),
        (
            "ablations:\n  variants:\n    deep: {model: {depth: 3}}",
            r"ablations.variants, 'deep': .*model.depth",
        ),
        ("dta:\n  seed: 1", "dta is not a setting"),
        ("data: {seed: 1}\ntraining: {}\ndata: {}", "mine.yaml is not valid YAML: 'data' stands there twice"),
        ("data: {seed: 1, seed: 2}", "'seed' stands there twice"),
        ("data: &d {seed: 1}\ntraining: *d", r"the alias \*d; write what it stands for"),
        ("training: {noise: .inf}", "training.noise = inf"),
        ("data: 2026-13-45", "not valid YAML"),
        ("data: " + "[" * 5000, "not valid YAML"),
        ("x" * 200_000, "more than 100000"),
        ("data: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"# r\xe9glages", "mine.yaml is not UTF-8 text"),
    ],
)
def test_a_broken_profile_is_one_clear_error(tmp_path, monkeypatch, content, message):
    for folder in ("params", "book"):
        (tmp_path / folder).mkdir()
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "params" / "mine.yaml").write_bytes(content)
    monkeypatch.chdir(tmp_path / "book")
    assert repository_root() == tmp_path
    with pytest.raises(CrystalNetError, match=message):
        Params.load("mine")


def test_a_chapter_has_its_settings_and_what_papermill_was_given():
    cell = "# Parameters\ntraining = {'epochs': 7}\nspectral = 'smoke_spectral'\n"
    names = {"In": ["", "data = {}", cell], "profile": "smoke", "data": {"seed": 3}, "n": 50}
    names |= {"training": {"epochs": 7}, "spectral": "smoke_spectral", "system": "cubic"}
    params = Params.of_chapter(names)
    assert params == Params.load("smoke", data={"seed": 3}, training={"epochs": 7})
    with pytest.raises(CrystalNetError, match=r"traning is not a setting. Allowed: profile, data, "):
        Params.of_chapter(names | {"In": [cell.replace("training", "traning")], "traning": {"epochs": 7}})


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Params().training.epochs = 3


# ------------------------------------------------------------------ kinds of network


def test_the_kind_of_network_is_the_papers_unless_settings_say_otherwise():
    assert type(Params().model) is type(Params(model={"width": 64}).model) is FilmParams
    assert type(Params(model={"field": "spectral"}).model) is SpectralParams
    assert type(Params(model=SpectralParams(radius=3)).model) is SpectralParams


def test_another_kind_of_network_starts_from_its_own_defaults():
    """The width of the profile's network says nothing about another's."""
    params = Params.load("smoke", model={"field": "spectral", "radius": 3})
    assert params.model == SpectralParams(radius=3)
    assert params.model.width != Params.load("smoke").model.width
    same = Params.load("smoke", model={"field": "film", "growth": 3})
    assert same.model == Params.load("smoke").model.model_copy(update={"growth": 3})


@pytest.mark.parametrize("model", [{}, {"field": "film", "width": 8}, {"field": "spectral", "width": 8}])
def test_settings_survive_a_file(model):
    params = Params.load("smoke", model=model, ablations={"variants": {"x": {"model": {"width": 9}}}})
    assert Params(**yaml.safe_load(yaml.safe_dump(params.model_dump(mode="json")))) == params
    assert Params.model_validate_json(params.model_dump_json()) == params


# ------------------------------------------------------------------ variants

VARIANTS = {
    "shy": {"model": {"width": 8}, "training": {"seed": 5}},
    "spectral": {"model": {"field": "spectral", "radius": 2}, "training": {"loss": "amplitude"}},
    "canonical": {"data": {"cell": "canonical"}},
}


def test_a_variant_changes_what_it_names_alone():
    params = Params.load("smoke", training={"epochs": 7}, ablations={"variants": VARIANTS})
    shy = params.variant("shy")
    assert (shy.model.width, shy.training.seed, shy.training.epochs) == (8, 5, 7)
    assert shy.model.model_copy(update={"width": params.model.width}) == params.model
    assert shy.training.model_copy(update={"seed": params.training.seed}) == params.training
    assert (shy.data, shy.evaluation, shy.ablations) == (params.data, params.evaluation, params.ablations)
    assert params.variant("canonical").data == params.data.model_copy(update={"cell": "canonical"})
    assert params.variant("canonical").model == params.model


def test_a_variant_may_be_another_kind_of_network():
    params = Params.load("smoke", ablations={"variants": VARIANTS})
    variant = params.variant("spectral")
    assert variant.model == SpectralParams(radius=2) and variant.training.loss == "amplitude"
    assert variant.variant("spectral") == variant
    back = Params.load(
        "smoke",
        model={"field": "spectral"},
        ablations={"variants": {"film": {"model": {"field": "film", "width": 8}}}},
    )
    assert back.variant("film").model == FilmParams(width=8)


def test_an_unknown_variant_lists_the_known_ones():
    params = Params.load("smoke", ablations={"variants": VARIANTS})
    with pytest.raises(CrystalNetError, match=r"no variant 'shi' .*Choose one of shy, spectral, canonical"):
        params.variant("shi")


@pytest.mark.parametrize(
    ("variant", "names"),
    [
        ({"training": {"epoch": 3}}, ["training.epoch is not a setting", "epochs"]),
        ({"trainig": {"epochs": 3}}, ["trainig is not a setting", "training"]),
        ({"training": {"epochs": 0}}, ["training.epochs = 0", "greater than or equal to 1"]),
        ({"model": {"radius": 3}}, ["model.radius is not a setting", "growth"]),
        ({"model": {"field": "splines"}}, ["model.field", "'splines'"]),
        ({"model": {"field": "spectral", "growth": 3}}, ["model.growth is not a setting", "radius"]),
        ({"spectral": {"name": "x"}}, ["spectral"]),
    ],
)
def test_a_wrong_variant_is_an_error_when_settings_are_loaded(variant, names):
    """Not after the training of everything else; the message names the variant and the key."""
    with pytest.raises(CrystalNetError) as error:
        Params.load("smoke", ablations={"variants": {"right": {}, "wrong one": variant}})
    assert all(name in str(error.value) for name in ["ablations.variants, 'wrong one'", *names])


@pytest.mark.parametrize("profile", PROFILES)
def test_variants_of_profiles_change_something(profile):
    params = Params.load(profile)
    for name in params.ablations.variants:
        assert params.variant(name) != params
