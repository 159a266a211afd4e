"""Samples: the same for the same crystals, disturbed as said, and solved into rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystalnet.data.prototypes import library_crystals
from crystalnet.errors import CrystalNetError
from crystalnet.patterns.laboratory import Sample, measured_sample, reflections_of
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.scoring.samples import UNTRUE, meeting, met, row_of
from crystalnet.solving.evidence import CLUES


@pytest.fixture(scope="module")
def crystals():
    found = {one.formula: one for one in library_crystals() if one.formula in ("NaCl", "TiO2", "ZnS")}
    return [found["NaCl"], found["TiO2"], found["ZnS"]]


def test_reflections_are_those_of_the_ideal_pattern(crystals):
    """Without texture, motion and neighbours they are powder_peaks', which equals pymatgen's."""
    for crystal in crystals:
        s, intensity = reflections_of(crystal.atoms, Sample(b_factor=0), 0.45)
        peaks = powder_peaks(crystal.atoms, 1.0, (0, 2 * np.degrees(np.arcsin(0.45)) - 1e-6))
        strong = peaks.intensity > 0.1
        places = 1 / (2 * peaks.d_spacing[strong])
        found = np.array([intensity[np.abs(s - place) < 1e-5].sum() for place in places])
        theta = np.arcsin(places)
        found *= (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
        np.testing.assert_allclose(found / found.max(), peaks.intensity[strong] / 100, rtol=1e-3)


def test_texture_makes_its_faces_strong_and_keeps_the_rest_in_proportion(crystals):
    atoms = crystals[1].atoms
    plain, textured = (reflections_of(atoms, Sample(march=r), 0.4)[1] for r in (1.0, 0.6))
    assert textured.shape == plain.shape and (textured / plain).max() == pytest.approx(0.6**-3, rel=1e-6)


def test_a_hump_and_a_second_phase_are_seen(crystals):
    salt, rutile = crystals[0].atoms, crystals[1].atoms
    quiet = Sample(background=0.0, counts=1e5)
    plain = measured_sample(salt, quiet).counts
    assert measured_sample(salt, replace(quiet, hump=0.2)).counts.sum() > plain.sum() * 1.2
    assert measured_sample(salt, replace(quiet, second=0.5), rutile).counts.sum() > plain.sum() * 1.1
    with pytest.raises(CrystalNetError, match="second phase"):
        measured_sample(salt, replace(quiet, second=0.5))


@pytest.mark.parametrize("untrue", ["", *UNTRUE])
def test_meetings_repeat_and_tell_what_they_say(crystals, untrue):
    one, again = (meeting(crystals[0], crystals[1], untrue) for _ in range(2))
    assert (one.pattern.counts == again.pattern.counts).all() and one.formula == again.formula
    assert (one.formula == "NaCl") == (untrue not in ("formula", "elements"))
    assert (one.wavelength == "CuKa") == (untrue != "wavelength")


def test_others_share_no_element(crystals):
    drawn = met(crystals, seed=3)
    assert [crystal for crystal, *_ in drawn] == crystals
    for crystal, other, untrue in drawn:
        assert not set(crystal.atoms.symbols) & set(other.atoms.symbols) and untrue in ("", *UNTRUE)


def test_a_row_says_what_was_found(crystals):
    row = row_of(crystals[0], crystals[1])
    assert row["right"] == 1 and row["found_group"] == row["space_group"] == 225
    assert all(np.isfinite(row[name]) for name in CLUES) and row["left"] < 0.5
