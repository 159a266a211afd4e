"""Sweeps: combinations of settings, failures as rows, the same on a Dask cluster; the table of settings."""

import pandas as pd
import pytest

from crystalnet.errors import CrystalNetError
from crystalnet.runs.params import Params
from crystalnet.runs.run import Run
from crystalnet.runs.sweeps import combinations, sweep
from crystalnet.settings import FilmParams, SpectralParams, TrainingParams
from crystalnet.show.settings_table import settings_table

SMALLEST = ["data.crystal_systems=[cubic]", "evaluation.max_test=2"]


def test_every_combination_has_a_name_and_its_settings():
    settings = combinations(["smoke", "quick"], ["model.width=16,32", "training.seed=0,1"])
    assert len(settings) == 8
    params = settings["smoke model.width=32 training.seed=1"]
    assert (params.profile, params.model.width, params.training.seed) == ("smoke", 32, 1)
    assert params.training.epochs == Params.load("smoke").training.epochs
    assert list(combinations(["smoke"])) == ["smoke"]


@pytest.mark.parametrize("axis", ["model.width", "width=3", "model.width=", "model.=3", "model.width=[3"])
def test_an_axis_without_place_or_values_is_refused(axis):
    with pytest.raises(CrystalNetError, match="nothing to vary"):
        combinations(["smoke"], [axis])


def test_settings_are_checked_before_anything_runs(tmp_path):
    with pytest.raises(CrystalNetError, match=r"model\.widht is not a setting"):
        combinations(["smoke"], ["model.widht=3"])
    with pytest.raises(CrystalNetError, match="nothing to run"):
        sweep({}, tmp_path)


@pytest.fixture(scope="module")
def settings() -> dict[str, Params]:
    good = combinations(["smoke"], SMALLEST)
    bad = Params.load("smoke", data={"source": "no/such/folder", "crystal_systems": ["cubic"]})
    return {**good, "bad": bad}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def table(settings, folder) -> pd.DataFrame:
    return sweep(settings, folder)


def test_a_sweep_is_table_1_of_every_run_and_failures_are_rows(settings, table, folder):
    name, params = next(iter(settings.items()))
    expected = Run(params, folder, progress=False).table_1().reset_index()
    rows = table[table["run"] == name].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows[expected.columns], expected, check_dtype=False)
    assert (rows["error"] == "").all()
    failed = table[table["run"] == "bad"]
    assert len(failed) == 1 and "no/such/folder" in failed["error"].iloc[0]


def test_a_cluster_computes_the_same(settings, table, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        again = sweep(settings, tmp_path, scheduler=cluster.scheduler_address)
    pd.testing.assert_frame_equal(again, table)


def test_every_setting_is_in_the_table_with_its_meaning():
    table = settings_table(Params.load("quick_spectral"))
    assert table["meaning"].notna().all()
    for name in TrainingParams.model_fields:
        assert f"training.{name}" in table.index
    kinds = {"film": FilmParams, "spectral": SpectralParams}
    for kind, model in kinds.items():
        assert {f"model.{name} ({kind})" for name in model.model_fields} <= set(table.index)
    assert table.loc["training.epochs", "default"] == "1500"
    assert table.loc["training.epochs", "source of the default"] == "paper or its code"
    assert table.loc["training.networks_at_once", "source of the default"] == "ours"
    assert table.loc["training.epochs", "here"] == str(Params.load("quick_spectral").training.epochs)
    assert table.loc["model.width (film)", "here"] == "–" != table.loc["model.width (spectral)", "here"]
    assert table.loc["data.split", "type"].startswith("'random' or 'published'")
    assert table.loc["training.max_val", "type"] == "whole number or null"
