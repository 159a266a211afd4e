"""What a change does to the scores: differences crystal by crystal, as numbers, as text and as dots."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from crystalnet.show.effects import clear, effect_dots, effect_table, effects

MEASURES = ("paper_ssim", "paper_psnr", "honest_ssim", "honest_psnr")


def scores(rows, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"row": rows} | {name: rng.normal(size=len(rows)) for name in MEASURES})


def changed(baseline: pd.DataFrame, **by) -> pd.DataFrame:
    """Variants whose every score is the baseline's plus what `by` gives for each crystal."""
    parts = [baseline.assign(variant=name) for name in by]
    for part, values in zip(parts, by.values(), strict=True):
        part[list(MEASURES)] += np.asarray(values)[:, None]
    return pd.concat(parts)


def found(n: int = 5) -> pd.DataFrame:
    baseline, noise = scores(range(n)), np.random.default_rng(1).normal(size=n)
    variants = changed(baseline, **{"first change": 10 + noise, "second change": -0.1 * noise})
    parts = {run: effects(variants, baseline) for run in ("cubic (a)", "trigonal (a)")}
    return pd.concat(parts, names=["run"]).reset_index("run")


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=8), st.integers(0, 100))
def test_mean_and_error_are_those_of_the_paired_t_test(by, seed):
    baseline = scores(range(len(by)), seed)
    effect = effects(changed(baseline, one=by), baseline)
    assert len(effect) == len(MEASURES)
    np.testing.assert_allclose(effect["mean"], np.mean(by), atol=1e-9)
    if np.ptp(by) > 1e-3:
        np.testing.assert_allclose(
            effect["mean"] / effect["error"], ttest_1samp(by, 0).statistic, rtol=1e-6, atol=1e-9
        )


def test_crystals_are_paired_by_row_not_by_place():
    baseline = scores([3, 5, 8])
    variants = changed(baseline, one=[0.5] * 3).iloc[::-1]
    effect = effects(variants, baseline)
    np.testing.assert_allclose(effect["mean"], 0.5)
    np.testing.assert_allclose(effect["error"], 0, atol=1e-12)


def test_only_crystals_that_both_have_count():
    baseline = scores([3, 5, 8])
    variants = changed(baseline, one=[1, 1, 100])
    effect = effects(variants, baseline.iloc[:2])
    assert (effect["crystals"] == 2).all()
    np.testing.assert_allclose(effect["mean"], 1)


def test_one_crystal_has_no_error_and_is_never_clear():
    baseline = scores([3])
    effect = effects(changed(baseline, one=[7]), baseline)
    assert effect["error"].isna().all() and not clear(effect).any()


def test_a_baseline_with_a_crystal_twice_is_refused():
    baseline = scores([3, 5])
    with pytest.raises(ValueError, match="duplicate entries"):
        effects(changed(baseline, one=[0, 0]), pd.concat([baseline, baseline]))


def test_clear_is_beyond_two_errors():
    table = pd.DataFrame({"mean": [1.0, -1.0, 1.0, 0.0], "error": [0.49, 0.49, 0.51, 0.0]})
    assert clear(table).tolist() == [True, True, False, False]


def test_the_table_has_a_row_a_run_and_variant_and_its_numbers():
    effect = found()
    table = effect_table(effect)
    assert table.index.tolist() == [
        (run, variant)
        for run in ("cubic (a)", "trigonal (a)")
        for variant in ("first change", "second change")
    ]
    row = effect.query("variant == 'second change' and protocol == 'honest' and score == 'psnr'").iloc[0]
    shown = table.loc[(row["run"], row["variant"]), "PSNR (dB), honest"]
    assert shown == f"{row['mean']:+.2f} ± {row['error']:.2f}"
    assert table.shape == (4, 4) and table.notna().all(axis=None)


def test_every_effect_is_a_dot_with_whiskers_of_two_errors():
    effect = found()
    figure = effect_dots(effect)
    dots = pd.DataFrame(
        [
            (variant, trace.name, x, length)
            for trace in figure.data
            for variant, x, length in zip(trace.customdata, trace.x, trace.error_x.array, strict=True)
        ]
    )
    assert len(dots) == len(effect)
    np.testing.assert_allclose(sorted(dots[2]), sorted(effect["mean"]))
    np.testing.assert_allclose(sorted(dots[3]), sorted(2 * effect["error"]))
    assert sum(bool(trace.showlegend) for trace in figure.data) == dots[1].nunique() == 2


def test_dots_stand_at_the_name_of_their_variant():
    figure = effect_dots(found())
    names = {f"y{i}" if i > 1 else "y": axis for i, axis in enumerate(figure.select_yaxes(), 1)}
    labels = next(axis.ticktext for axis in names.values() if axis.ticktext)
    for trace in figure.data:
        for variant, y in zip(trace.customdata, trace.y, strict=True):
            assert labels[round(y)].replace("<br>", " ") == variant
