"""Whatever a file holds, it is read right or refused: files made and files damaged at random."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import outcome
from some_files import ANGLES, COUNTS, FILES, NOISY, SIGMA, SINE, WAVELENGTH, D, Q, table

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import read_pattern

FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
QUICK = settings(deadline=None, max_examples=100, suppress_health_check=FIXTURES)
LONG = settings(deadline=None, max_examples=1200, suppress_health_check=FIXTURES)

AXES = {  # labels of x, and x itself
    "two_theta": (
        ["2theta", "2Theta (deg)", "two_theta", "tth_deg", "2θ [°]", "Angle", "Pos. [°2Th.]"],
        ANGLES,
    ),
    "radians": (["2th_rad", "2theta (rad)", "two_theta [radians]"], np.radians(ANGLES)),
    "theta": (["theta", "Theta (deg)", "θ (°)"], ANGLES / 2),
    "q": (["q (1/A)", "q_A^-1", "Q [Å⁻¹]", "q(A-1)", "q (inv. Angstrom)"], Q),
    "q per nm": (
        ["q (1/nm)", "q_nm^-1", "Q [nm⁻¹]", "q(nm-1)", "q / nm^-1", "Q (Inverse Nanometres)"],
        10 * Q,
    ),
    "d": (["d (Å)", "d-spacing (A)", "d [Angstrom]", "d_A"], D),
    "d in nm": (["d (nm)", "d_spacing [nm]"], D / 10),
    "d in pm": (["d (pm)"], 100 * D),
    "s": (["sin(theta)/lambda (1/Å)", "s (1/A)"], SINE / WAVELENGTH),
    "1/d": (["1/d (1/A)"], 1 / D),
}
STRANGERS = [
    "omega",
    "Energy (keV)",
    "TOF (us)",
    "time of flight",
    "channel",
    "index",
    "phi (deg)",
    "r_mm",
    "time (s)",
]
OBSERVED = ["I", "counts", "Intensity", "Intensity (counts)", "Iobs [cts]", "y_obs", "Impulse"]
OTHERS = {
    "sigma": (["sigma", "esd", "err", "I_err"], SIGMA),
    "background": (
        ["background", "bkg", "background_counts", "Iback [cts]"],
        np.round(17 + 5 * np.exp(-ANGLES / 40), 2),
    ),
    "calculated": (["calc", "I_calc", "Ycalc", "fit"], np.round(COUNTS * 1.01, 2)),
    "difference": (["diff", "residual", "obs-calc"], np.round(NOISY - COUNTS, 2)),
}
WAVELENGTHS = [
    "# Wavelength: 1.5406", "# Wavelength= 1.5406e-10m", "# wavelength (nm): 0.15406",
    "# lambda = 1.5406 Å", "# Wavelength: 154.06 pm", "# K-Alpha1 wavelength: 1.5406",
    "# Energy: 8.04778 keV",
]  # fmt: skip


@st.composite
def tables(draw) -> tuple[str, str, str, bool]:
    """Name and text of a file with a header, its quantity, and whether the file holds standard deviations."""
    kind = draw(st.sampled_from(sorted(AXES)))
    labels, x = AXES[kind]
    columns = [(draw(st.sampled_from(labels)), x), (draw(st.sampled_from(OBSERVED)), NOISY)]
    others = draw(st.lists(st.sampled_from(sorted(OTHERS)), unique=True, max_size=3))
    rest = [columns[1], *((draw(st.sampled_from(OTHERS[one][0])), OTHERS[one][1]) for one in others)]
    columns = [columns[0], *draw(st.permutations(rest))]
    separator = draw(st.sampled_from([",", ";", "\t", "  "]))
    comma = separator != "," and draw(st.booleans())
    rows = table(*(column for _, column in columns), form="{:.7f}", separator=separator, comma=comma)
    if draw(st.booleans()):
        rows = "\n".join(reversed(rows.splitlines())) + "\n"
    comment = draw(st.sampled_from(["", "# "])) if separator != "," else ""
    header = comment + separator.join(label for label, _ in columns) + "\n"
    above = draw(
        st.lists(st.sampled_from(["# sample A", "# 2 hours", "! user: B", "# date 2020-01-02"]), max_size=2)
    )
    above.append(draw(st.sampled_from(WAVELENGTHS)))
    below = draw(st.sampled_from(["", "", "END\n", "# end of scan\n", "\n\n"]))
    text = "\n".join(above) + "\n" + header + rows + below
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\n"])))
    name = "a" + draw(st.sampled_from([".xy", ".dat", ".txt", ".csv", ".xye", ".chi", ".prn", ""]))
    return name, text, kind, "sigma" in others


def read_as_written(made, folder) -> None:
    name, text, _, has_sigma = made
    path = folder / name
    path.write_bytes(text.encode())
    pattern = read_pattern(path)
    assert pattern.two_theta == pytest.approx(ANGLES, abs=2e-3)
    assert pattern.counts == pytest.approx(NOISY, abs=1e-6)
    assert pattern.wavelength == pytest.approx(WAVELENGTH, abs=1e-5)
    assert (pattern.sigma is not None) == has_sigma


@given(tables())
@QUICK
def test_tables_with_headers_are_read_right(tmp_path, made):
    read_as_written(made, tmp_path)


@pytest.mark.long
@given(tables())
@LONG
def test_many_tables_with_headers_are_read_right(tmp_path, made):
    read_as_written(made, tmp_path)


@given(
    st.sampled_from(STRANGERS),
    st.sampled_from(OBSERVED),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["", "# "]),
)
@settings(QUICK, max_examples=40)
def test_an_x_that_nobody_knows_is_refused_by_name(tmp_path, x, y, separator, comment):
    (tmp_path / "a.csv").write_text(
        comment + x + separator + y + "\n" + table(ANGLES, COUNTS, separator=separator), encoding="utf-8"
    )
    with pytest.raises(CrystalNetError, match=r"scattering angle|time of flight") as raised:
        read_pattern(tmp_path / "a.csv", WAVELENGTH)
    assert raised.value.code in (Code.UNKNOWN_UNIT, Code.NOT_X_RAYS)


@st.composite
def damaged(draw) -> tuple[str, bytes]:
    """A file of any format, cut, with changed or repeated bytes or lines, or another one behind it."""
    name = draw(st.sampled_from(sorted(FILES)))
    data = bytes(FILES[name])
    place = st.integers(0, len(data) - 1)
    for _ in range(draw(st.integers(1, 3))):
        a, b = sorted((draw(place), draw(place)))
        how = draw(
            st.sampled_from(["cut", "head", "flip", "remove", "repeat", "insert", "line", "other", "swap"])
        )
        if how == "cut":
            data = data[:a]
        elif how == "head":
            data = data[a:]
        elif how == "flip":
            data = data[:a] + bytes([draw(st.integers(0, 255))]) + data[a + 1 :]
        elif how == "remove":
            data = data[:a] + data[min(b, a + 200) :]
        elif how == "repeat":
            data = data[:b] + data[a : min(b, a + 400)] + data[b:]
        elif how == "insert":
            data = data[:a] + draw(st.sampled_from(WORDS)) + data[a:]
        elif how == "line":
            lines = data.split(b"\n")
            lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(WORDS)))
            data = b"\n".join(lines)
        elif how == "other":
            data += bytes(FILES[draw(st.sampled_from(sorted(FILES)))])
        else:
            old, new = draw(st.sampled_from(SWAPS))
            data = data.replace(old, new)
    suffix = draw(st.sampled_from(["", "", "", ".xy", ".raw", ".cif", ".xrdml", ".gsa", ".dat"]))
    return name + suffix, data


WORDS = [
    b"nan", b"inf", b"-1", b"1e999", b"1e308", b"\xff\xfe", b"\0", b"*****", b"0", b",", b";", b"\t",
    b"10 20 30", b"data_", b"loop_", b"BANK 1 10 1 CONST 1 1", b"-1000", b"# q (1/nm) I", b"Wavelength: 0",
    b"<scan>", b"&lt;", b"<!ENTITY a 'b'>", b"99999999999999999999", b"1.2.3", b"--5", b"()", b"%",
    b"_pd_meas_counts_total", b"'", b'"', b"\r", b"*END", b"TOF",
]  # fmt: skip
SWAPS = [
    (b".", b","), (b" ", b"\t"), (b"\n", b"\r\n"), (b"\n", b"\r"), (b"1", b"-1"), (b"0", b""),
    (b"\n", b"\n\n"), (b" ", b""), (b"2", b"nan"), (b"e", b""), (b"\n", b" "), (b"0", b"9"),
    (b"5", b"5e300"), (b"A", b"\xc3\x85"), (b"=", b" "),
]  # fmt: skip


def ends_well(made, folder) -> None:
    """In a pattern that can be one, or in an error that says what is wrong with the file and what helps."""
    name, data = made
    (folder / name).write_bytes(data)
    pattern = outcome(read_pattern, folder / name, names=name)
    if isinstance(pattern, CrystalNetError):
        return
    assert len(pattern.two_theta) >= 50 and (np.diff(pattern.two_theta) > 0).all()
    assert pattern.two_theta[0] >= 0 and pattern.two_theta[-1] <= 180
    assert np.isfinite(pattern.counts).all() and np.ptp(pattern.counts) > 0
    assert pattern.sigma is None or (np.isfinite(pattern.sigma) & (pattern.sigma > 0)).all()
    assert pattern.wavelength is None or 0.1 <= pattern.wavelength <= 3


@given(damaged())
@settings(QUICK, max_examples=160)
def test_damaged_files_are_read_or_refused(tmp_path, made):
    ends_well(made, tmp_path)


@pytest.mark.long
@given(damaged())
@settings(LONG, max_examples=1500)
def test_many_damaged_files_are_read_or_refused(tmp_path, made):
    ends_well(made, tmp_path)
