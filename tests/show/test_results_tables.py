"""Tables of results: what the scores say, beside the paper's numbers; what is not known is not made up."""

import json
import math
import re

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystalnet.model.crystalnet import CrystalNet
from crystalnet.show.curves import curves_together
from crystalnet.show.style import COLOURS
from crystalnet.show.tables import (
    NONE,
    against_both,
    beside_published,
    by_space_group,
    differences,
    means,
    paired,
    scale,
    sources,
    summaries,
    tails,
    training_facts,
)

PAPER = {"network": {"crystals": 500, "ssim": 0.934, "ssim_std": 0.149, "psnr": 43.0, "psnr_std": 12.7}}
TRAINING = {
    "epochs": "3 of 5",
    "model": {"width": 16, "growth": 2, "n_frequencies": 8, "n_blocks": 1},
    "training": {"strata": 4},
    "environment": {"hardware": "an abacus"},
}


def scores(values: dict[str, list[float]], column: str = "predictor") -> pd.DataFrame:
    """Honest SSIMs by case; the other scores follow from them."""
    rows = [
        {
            **{column: case, "row": 7 + k, "material_id": f"mp-{k}", "space_group": 221 + k % 2},
            **{"honest_ssim": value, "honest_psnr": 10 * value},
            **{"paper_ssim": value + 0.01, "paper_psnr": 10 * value + 1},
        }
        for case, ssims in values.items()
        for k, value in enumerate(ssims)
    ]
    return pd.DataFrame(rows)


TWO = scores({"network": [0.95, 0.85, 0.75], "neighbour": [0.35, 0.95, 0.25]})


def history(validated=(np.nan, 0.5, 0.4)) -> pd.DataFrame:
    columns = {"reconstruction": [0.9, 0.5, 0.25], "kl": [3.0, 2.0, 1.0], "seconds": [10.0, 20.0, 30.0]}
    return pd.DataFrame({"epoch": [0, 1, 2], "val_ssim": list(validated), **columns})


def test_summaries_keep_the_order_of_the_cases():
    table = summaries(TWO, "predictor")
    assert list(table.index) == ["network", "neighbour"] and table.index.name == "predictor"
    assert table.loc["network", "honest_ssim"] == pytest.approx(0.85)
    assert table.loc["neighbour", "honest_below_0.5"] == pytest.approx(2 / 3)


def test_the_paper_stands_below_the_runs_of_its_crystal_system():
    runs = [("cubic", "a"), ("trigonal", "a"), ("cubic", "b")]
    table = beside_published(
        dict.fromkeys(runs, summaries(TWO, "predictor")), {"cubic": PAPER, "hexagonal": PAPER}
    )
    assert table.index.names == ["system", "profile", "predictor"]
    order = [("cubic", "a"), ("cubic", "b"), ("cubic", "published"), ("trigonal", "a")]
    assert list(dict.fromkeys((system, profile) for system, profile, _ in table.index)) == order
    published = table.loc["cubic", "published", "network"]
    assert (published["crystals"], published["paper_psnr"]) == (500, 43.0)
    assert math.isnan(published["honest_ssim"])


def test_text_has_the_digits_and_a_dash_where_nothing_is_known():
    table = beside_published({("cubic", "a"): summaries(TWO, "predictor")}, {"cubic": PAPER})
    shown, ours, paper = means(table), ("cubic", "a", "network"), ("cubic", "published", "network")
    assert shown.loc[ours].tolist() == [3, "0.860 ± 0.082", "9.5 ± 0.8", "0.850 ± 0.082", "8.5 ± 0.8"]
    assert shown.loc[paper].tolist() == [500, "0.934 ± 0.149", "43.0 ± 12.7", "–", "–"]
    shown = tails(table)
    assert shown.loc[ours].tolist() == ["0.860", "33%", "0%", "0.850", "33%", "0%"]
    assert set(shown.loc[paper]) == {"–"}


def test_tails_of_the_paper_are_shown_where_they_are_known():
    known = {"network": {**PAPER["network"], "ssim_median": 0.997, "above_0.9": 0.834, "below_0.5": 0.036}}
    table = tails(beside_published({("cubic", "a"): summaries(TWO, "predictor")}, {"cubic": known}))
    assert table.loc["cubic", "published", "network"].tolist() == ["0.997", "83%", "4%", "–", "–", "–"]


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=9),
    st.floats(-0.5, 0.5).filter(lambda x: abs(x) > 1e-6),
)
def test_a_constant_difference_has_no_error(ssims, shift):
    """However much the crystals scatter."""
    table = paired(scores({"a": ssims, "b": [x + shift for x in ssims]}), "predictor", "a").loc["b"]
    assert table["honest_ssim"] == pytest.approx(shift, abs=1e-9)
    assert table["honest_ssim_error"] == pytest.approx(0, abs=1e-9)
    assert table["better"] == (shift > 0)


def test_differences_go_by_crystal_whatever_the_order():
    table = paired(TWO, "predictor", "neighbour").loc["network"]
    each = np.array([0.60, -0.10, 0.50])
    assert table["honest_ssim"] == pytest.approx(each.mean())
    assert table["honest_ssim_error"] == pytest.approx(each.std(ddof=1) / 3**0.5)
    assert table["honest_psnr"] == pytest.approx(10 * each.mean())
    assert (table["crystals"], table["better"]) == (3, pytest.approx(2 / 3))
    pd.testing.assert_series_equal(paired(TWO[::-1], "predictor", "neighbour").loc["network"], table)


def test_crystals_that_one_case_lacks_do_not_count():
    assert paired(TWO.iloc[:-1], "predictor", "neighbour").loc["network", "crystals"] == 2


def test_differences_as_text_carry_their_sign():
    shown = differences(paired(TWO, "predictor", "neighbour"))
    assert shown.loc["network"].tolist() == [3, "+0.333 ± 0.219", "+3.3 ± 2.2", "67%"]
    one = differences(paired(TWO[TWO["row"] == 8], "predictor", "neighbour"))
    assert one.loc["network"].tolist() == [1, "-0.100 ± nan", "-1.0 ± nan", "0%"]


def test_both_truths_are_held_beside_each_other_for_the_same_crystals():
    dft = TWO[TWO["material_id"] != "mp-1"].assign(honest_ssim=0.5)[::-1]
    table = against_both(TWO, dft)
    counts = table.groupby(["truth", "predictor"])["material_id"].agg(["size", "nunique"])
    assert (counts == 2).all(axis=None) and len(counts) == 4
    assert set(table["material_id"]) == {"mp-0", "mp-2"}
    assert (table.loc[table["truth"] == "DFT", "honest_ssim"] == 0.5).all()


def test_every_space_group_has_a_row():
    table = by_space_group(TWO[TWO["predictor"] == "network"])
    assert table["space_group"].tolist() == [221, 222] and table["n"].tolist() == [2, 1]
    np.testing.assert_allclose(
        table[["ssim", "ssim_std", "ssim_median"]], [[0.85, 0.1, 0.85], [0.85, 0, 0.85]]
    )


def test_training_facts_follow_from_the_history():
    facts = training_facts(history(), TRAINING, 4000)
    assert (facts["best epoch"], facts["validation SSIM"]) == ("1", "0.500")
    assert facts["time (h:min:s)"] == "0:01:00"
    assert (facts["crystals/s"], facts["points/s"]) == ("200.0", "12,800")
    assert (facts["epochs"], facts["hardware"]) == ("3 of 5", "an abacus")


def test_scale_counts_the_parameters_of_the_network():
    assert scale({"model": {}, "epochs": "1,500"}, 16378, "DFT") == (
        "14,775,187 parameters, 16,378 crystals with DFT densities, 1,500 epochs"
    )
    n_parameters = sum(p.numel() for p in CrystalNet(**TRAINING["model"]).parameters())
    assert scale(TRAINING, 1, "").startswith(f"{n_parameters:,} parameters")


def test_without_results_a_line_says_how_to_make_some():
    assert sources([]) == NONE and "make results" in NONE
    assert sources(iter(["a", "b"])) == "- a\n- b"


def test_curves_of_several_runs_mark_the_best_epoch_of_each():
    histories = {"cubic": history(), "trigonal": history((0.1, np.nan, 0.3))}
    figure = curves_together(histories, "X")
    marks = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    assert [(mark.x[0], mark.marker.color) for mark in marks.values()] == [(1, COLOURS[0]), (2, COLOURS[1])]
    curves = [trace for trace in figure.data if trace.name == "trigonal"]
    assert [list(trace.x) for trace in curves] == [[0, 1, 2], [0, 1, 2], [0, 2]]
    assert [trace.showlegend for trace in curves] == [True, False, False]


def test_curves_without_a_validation_have_no_mark():
    figure = curves_together({"cubic": history([np.nan] * 3)})
    assert not [trace for trace in figure.data if trace.mode == "markers"]


def test_curves_are_light_and_self_contained():
    long = pd.concat([history((0.1, 0.2, 0.3))] * 500).assign(epoch=range(1500))
    figure = curves_together({f"run {k}": long for k in range(3)})
    assert len(pio.to_html(figure, include_plotlyjs=False, full_html=False)) < 200_000
    assert not re.search(r"https?://", figure.to_json())
    layout = json.loads(figure.to_json())["layout"]
    assert "width" not in layout and layout["height"] <= 900
