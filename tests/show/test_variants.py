"""Variants beside the baseline: on the records that are kept, against their tables read plainly."""

import pytest

from crystalnet.runs.records import Record, records
from crystalnet.show.sources import of_levels, of_validation, of_variants, scales
from crystalnet.show.variants import (
    HARD,
    MEASURED,
    PLAIN,
    by_material,
    of,
    on_hard_splits,
    variants_of,
    worth,
)

VARIED = [record for record in records() if record.variants is not None and record.levels is not None]
pytestmark = pytest.mark.skipif(not VARIED, reason="book/results holds no variants yet")


@pytest.fixture(params=VARIED, ids=lambda record: f"{record.profile}-{record.system}")
def record(request) -> Record:
    return request.param


def test_every_variant_is_of_one_kind(record):
    names = [name for kind in (PLAIN, HARD, MEASURED) for name in variants_of(record, kind)]
    assert sorted(names) == sorted(record.manifest["variants.csv"])


def test_worth_is_the_mean_difference_on_common_crystals(record):
    table = worth(record)
    baseline = by_material(of(record.levels, "baseline")).set_index("row")["honest_ssim"]
    assert table.loc["baseline", "SSIM"] == f"{baseline.mean():.3f}"
    for variant in variants_of(record, PLAIN):
        changed = by_material(of(record.variants, variant)).set_index("row")["honest_ssim"]
        assert table.loc[variant, "Δ SSIM"].startswith(f"{(changed - baseline).dropna().mean():+.3f} ± ")


def test_hard_splits_stand_beside_retrieval_on_their_own_crystals(record):
    rows = on_hard_splits(record)
    assert len(rows) == 1 + (len(variants_of(record, HARD)) if record.retrieval is not None else 0)
    for variant in variants_of(record, HARD) if record.retrieval is not None else ():
        assert rows[variant]["network"] == f"{of(record.variants, variant)['honest_ssim'].mean():.3f}"
        assert rows[variant]["neighbour"] == f"{of(record.retrieval, variant)['honest_ssim'].mean():.3f}"


def test_sources_are_lines_of_facts(record):
    for line in (of_levels(record), of_variants(record, 1234)):
        assert line.startswith(record.provenance()) and "\n" not in line and "guesses each" in line
    assert "1,234 test crystals" in of_variants(record, 1234)
    assert f"{record.manifest['history.csv']['training']['val_grid']}³ points" in of_validation(record)
    ours, published = scales([record], {record.system: {"train": 10}})
    assert record.profile in ours and "10 crystals with DFT densities, 1,500 epochs" in published
