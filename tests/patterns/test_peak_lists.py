"""Peaks that a person types."""

import numpy as np
import pytest

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.peak_lists import peaks_of_text


def test_lists_of_peaks_are_read_as_people_write_them():
    peaks = peaks_of_text("# two theta\n40.1;\t7 extra\n\n 20.05 , 3.5 # weak\n", 1.5)
    np.testing.assert_allclose(peaks.two_theta, [20.05, 40.1])
    np.testing.assert_allclose(peaks.intensity, [3.5, 7])
    np.testing.assert_allclose(2 * peaks.d_spacing * np.sin(np.radians(peaks.two_theta / 2)), 1.5)
    with pytest.raises(CrystalNetError, match="empty"):
        peaks_of_text(" \n# nothing", 1.5)
