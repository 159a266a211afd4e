"""Peaks that a person types."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.peak_lists import peaks_of_text


def test_lists_of_peaks_are_read_as_people_write_them():
    peaks = peaks_of_text("# two theta\n40.1;\t7 extra\n\n 20.05 , 3.5 # weak\n", 1.5)
    np.testing.assert_allclose(peaks.two_theta, [20.05, 40.1])
    np.testing.assert_allclose(peaks.intensity, [3.5, 7])
    np.testing.assert_allclose(2 * peaks.d_spacing * np.sin(np.radians(peaks.two_theta / 2)), 1.5)
    with pytest.raises(CrystalNetError, match="empty"):
        peaks_of_text(" \n# nothing", 1.5)


@pytest.mark.parametrize(
    "text", ["28,44 100\n47,30 55", "28,44;100\n47,30;55", "28.44, 100\n47.30, 55", "28,44\t100\n47,30\t55,0"]
)
def test_decimal_commas_are_told_from_separators(text):
    peaks = peaks_of_text(text, "CuKa1")
    np.testing.assert_allclose(peaks.two_theta, [28.44, 47.30])
    np.testing.assert_allclose(peaks.intensity, [100, 55])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("28,44\n47,30", "decimal comma"),
        ("28.44 many", "Line 1"),
        ("28.44 100\n\n190 5", "Line 3"),
        ("28.44 -5", "Line 1"),
        ("28.44 nan", "Line 1"),
        ("inf 5", "Line 1"),
        ("28.44", "Line 1"),
        ("28.44 0\n30 0", "intensity 0"),
        ("1 1\n" * 20_000, "more than"),
    ],
)
def test_lists_that_cannot_be_are_explained(text, why):
    with pytest.raises(CrystalNetError, match=why) as raised:
        peaks_of_text(text, 1.5406)
    assert raised.value.code is Code.BAD_PEAKS


@pytest.mark.parametrize("wavelength", [None, 15.4, "nothing", float("nan")])
def test_peaks_need_a_wavelength(wavelength):
    with pytest.raises(CrystalNetError, match="wavelength"):
        peaks_of_text("28.44 100", wavelength)


WORDS = st.sampled_from(
    [
        "28.44",
        "28,44",
        "100",
        "-5",
        "nan",
        "1e999",
        "#",
        ",",
        ";",
        "\t",
        " ",
        "\n",
        "x",
        "0",
        "200",
        "\0",
        "½",
    ]
)


@given(st.lists(WORDS, max_size=14).map("".join) | st.text(max_size=30))
@settings(deadline=None, max_examples=100)
def test_anything_is_a_list_of_peaks_or_refused(text):
    try:
        peaks = peaks_of_text(text, 1.5406)
    except CrystalNetError as error:
        assert error.code is Code.BAD_PEAKS
    else:
        assert (
            (peaks.two_theta > 0).all()
            and (peaks.intensity >= 0).all()
            and np.isfinite(peaks.d_spacing).all()
        )
