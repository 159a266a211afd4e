"""Pattern files of every format give the numbers that were written, and broken ones say what is wrong."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.measured import Measured, checked, read_pattern
from crystalnet.patterns.wavelengths import wavelength_of

ANGLES = np.round(np.arange(10, 70, 0.5), 4)
COUNTS = np.round(1000 * np.exp(-(((ANGLES - 35) / 3) ** 2)) + 17)


def rows(form, angles=ANGLES, counts=COUNTS):
    return "".join(form.format(x=x, y=y) for x, y in zip(angles, counts, strict=True))


def with_commas(text):
    return text.replace(".", ",")


BANK = "A title{pad}\nBANK 1 120 {n} CONST 1000.0 50.0 0 0 {kind}\n"
LINES_OF_TEN = "\n".join("".join(f"  {y:6.0f}" for y in part) for part in COUNTS.reshape(-1, 10))
LINES_OF_PAIRS = "\n".join("".join(f"{y:8.1f}{2:8.1f}" for y in part) for part in COUNTS.reshape(-1, 5))
XRDML = """<?xml version="1.0"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5"><xrdMeasurement>
<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1></usedWavelength>
<scan><dataPoints>
<positions axis="2Theta" unit="deg">
<startPosition>10.0</startPosition><endPosition>69.5</endPosition></positions>
<positions axis="Omega" unit="deg">
<startPosition>5.0</startPosition><endPosition>34.75</endPosition></positions>
<intensities unit="counts">{counts}</intensities></dataPoints></scan></xrdMeasurement></xrdMeasurements>
"""
CIF = """data_a
_diffrn_radiation_wavelength 1.5406(1)
data_b
{ends}
loop_
{names}
"""
CIF_ENDS = "_pd_meas_2theta_range_min 10.0\n_pd_meas_2theta_range_max 69.5\n_pd_meas_2theta_range_inc 0.5"
FILES = {
    "a.xy": rows("{x} {y}\n"),
    "tabs.dat": "# two columns\n" + rows("{x}\t{y}\n"),
    "a.csv": "two_theta_deg,intensity\n" + rows("{x},{y}\n"),
    "turned.csv": "Intensity,2Theta\n" + rows("{y},{x}\n"),
    "semicolons.csv": "Winkel;Int\n" + with_commas(rows("{x};{y}\n")),
    "blanks.txt": with_commas(rows("{x} {y}\n")),
    "comment.xy": "/*\nID 5 7\n*/\n'more\n!more\n\n" + rows("  {x:.3e}   {y:.6e}  \n"),
    "three.xye": rows("{x} {y} 2.0\n"),
    "std.gsas": BANK.format(pad="", n=12, kind="STD") + LINES_OF_TEN,
    "esd.raw": BANK.format(pad=" " * 60, n=24, kind="ESD") + LINES_OF_PAIRS,
    "fxye.fxye": BANK.format(pad="", n=120, kind="FXYE") + rows("{x} {y} 2.0\n", ANGLES * 100),
    "fxy.gss": BANK.format(pad="", n=120, kind="FXY") + rows("{x} {y}\n", ANGLES * 100),
    "a.xrdml": XRDML.format(counts=" ".join(map(str, COUNTS))),
    "scan.cif": CIF.format(ends="", names="_pd_meas_2theta_scan\n_pd_meas_counts_total\n")
    + rows("{x} {y:.0f}(2)\n"),
    "range.cif": CIF.format(ends=CIF_ENDS, names="_pd_meas_intensity_total\n") + rows("{y:.0f}(2)\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_what_was_written(name, tmp_path):
    (tmp_path / name).write_text(FILES[name])
    pattern = read_pattern(tmp_path / name)
    assert pattern.two_theta == pytest.approx(ANGLES, abs=1e-6)
    assert pattern.counts == pytest.approx(COUNTS)
    has_sigma = name.split(".")[0] in ("three", "esd", "fxye", "scan", "range")
    assert (pattern.sigma is not None) == has_sigma and (not has_sigma or (pattern.sigma == 2).all())
    known = {"xrdml": 1.540598, "cif": 1.5406}.get(name.split(".")[-1])
    assert pattern.wavelength == known and pattern.name == name
    assert read_pattern(tmp_path / name, "MoKa").wavelength == 0.71073


@given(
    step=st.floats(0.005, 0.5),
    counts=st.lists(st.floats(0, 1e7), min_size=60, max_size=80).filter(lambda y: len(set(y)) > 1),
    order=st.randoms(use_true_random=False),
    separator=st.sampled_from([" ", ",", "\t", "; "]),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_patterns_come_back_sorted(step, counts, order, separator, tmp_path):
    angles = 5 + step * np.arange(len(counts))
    lines = [f"{x!r}{separator}{y!r}" for x, y in zip(angles.tolist(), counts, strict=True)]
    order.shuffle(lines)
    (tmp_path / "a.csv").write_text("\n".join(lines))
    pattern = read_pattern(tmp_path / "a.csv")
    assert (pattern.two_theta == angles).all() and (pattern.counts == counts).all()


def test_equal_angles_are_averaged_and_told(tmp_path):
    twice = "".join(f"{x} {y} 2\n{x} {y + 2} 2\n" for x, y in zip(ANGLES[::4], COUNTS[::4], strict=True))
    (tmp_path / "a.xye").write_text(rows("{x} {y} 2\n") + "".join(twice.splitlines(True)[-2:]))
    pattern = read_pattern(tmp_path / "a.xye")
    assert (pattern.two_theta == ANGLES).all() and any("averaged" in told for told in pattern.assumptions)
    last = np.searchsorted(ANGLES, ANGLES[::4][-1])
    assert pattern.counts[last] == pytest.approx(COUNTS[last] + 2 / 3)
    assert pattern.sigma[last] == pytest.approx(2 / np.sqrt(3)) and pattern.sigma[0] == 2


@pytest.mark.parametrize("title", ["d", "Q (1/A)"])
def test_d_and_q_become_angles(title, tmp_path):
    s = np.sin(np.radians(ANGLES / 2)) / 1.5
    axis = 1 / (2 * s) if title == "d" else 4 * np.pi * s
    (tmp_path / "a.csv").write_text(
        f"{title};intensity\n".replace(" (1/A)", "") + rows("{x!r};{y}\n", axis.tolist())
    )
    pattern = read_pattern(tmp_path / "a.csv", 1.5)
    assert pattern.two_theta == pytest.approx(ANGLES) and pattern.counts == pytest.approx(COUNTS)
    with pytest.raises(CrystalNetError, match="wavelength"):
        read_pattern(tmp_path / "a.csv")


def test_wavelength_in_a_comment(tmp_path):
    (tmp_path / "a.xy").write_text("# Wavelength (A): 0.4139\n" + FILES["a.xy"])
    assert read_pattern(tmp_path / "a.xy").wavelength == 0.4139


BAD = {
    "empty.xy": ("", "no columns"),
    "prose.txt": ("Nothing here to see, dear reader.\n" * 60, "no columns"),
    "nan.xy": (FILES["a.xy"] + "70.0 nan\n", "no finite"),
    "word.xy": (FILES["a.xy"] + "70.0 many\n" + "71 5\n", "line 121"),
    "cut.csv": (FILES["a.csv"] + "70.0,", "line 122"),
    "short.xy": ("\n".join(FILES["a.xy"].splitlines()[:20]), "20 points"),
    "angles.xy": (rows("{x} {y}\n", ANGLES * 3), "0-180"),
    "negative.xy": (rows("{x} {y}\n", ANGLES - 60), "0-180"),
    "flat.xy": (rows("{x} 7\n"), "all counts are equal"),
    "zero.xy": (rows("{x} 0\n"), "all counts are equal"),
    "one_angle.xy": (rows("20 {y}\n"), "angles only"),
    "binary.raw": ("RAW1.01\0\0\1", "binary"),
    "picture.xy": ("\0\1\2", "binary"),
    "cut.gsas": ("\n".join(FILES["std.gsas"].splitlines()[:8]), "promises 120"),
    "time.gsas": (FILES["std.gsas"].replace("CONST", "SLOG "), "SLOG"),
    "words.gsas": (FILES["std.gsas"] + "\n several words", "BANK"),
    "cut.xrdml": (FILES["a.xrdml"][:600], "XML"),
    "none.xrdml": ("<a/>", "no scan"),
    "entities.xrdml": ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>', "entities"),
    "word.xrdml": (FILES["a.xrdml"].replace(" 17.0", " some", 1), "number"),
    "structure.cif": ("data_x\n_cell_length_a 4.0\n", "no powder pattern"),
    "angles_missing.cif": (FILES["range.cif"].replace("_inc", "_no"), "no finite"),
    "page.html": ("<html>" + FILES["a.xy"], "HTML"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_why(name, tmp_path):
    text, cause = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(CrystalNetError, match=cause) as raised:
        read_pattern(tmp_path / name)
    assert name in str(raised.value) and str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("two_theta", "counts", "cause"),
    [
        (None, None, "don't fit"),
        (ANGLES, COUNTS[:-1], "don't fit"),
        (["a"] * 60, COUNTS[:60], "no numbers"),
        (ANGLES, np.full(120, np.nan), "no finite"),
        (np.stack([ANGLES] * 2), np.stack([COUNTS] * 2), "don't fit"),
    ],
)
def test_arrays_that_are_no_pattern_are_refused(two_theta, counts, cause):
    with pytest.raises(CrystalNetError, match=cause):
        checked(Measured(two_theta, counts))


def test_deviations_that_fit_nothing_are_left_out_and_told():
    for sigma in (np.ones(3), -np.ones(120), np.full(120, np.nan)):
        pattern = checked(Measured(ANGLES - 20, COUNTS, sigma))
        assert pattern.sigma is None and any("left out" in told for told in pattern.assumptions)


def test_no_file(tmp_path):
    for path in (tmp_path / "none.xy", tmp_path):
        with pytest.raises(CrystalNetError, match="no file"):
            read_pattern(path)
    for path in (None, 5, b"a.xy"):
        with pytest.raises(CrystalNetError, match="no path"):
            read_pattern(path)


@pytest.mark.parametrize("wavelength", ["CuKx", -1.0, 0, float("nan"), float("inf"), [1.5]])
def test_bad_wavelengths(wavelength):
    with pytest.raises(CrystalNetError, match="no wavelength"):
        wavelength_of(wavelength)


def test_a_journals_file_and_its_table_agree(shared_data):
    folder = shared_data / "data" / "experiments"
    cif, table = (read_pattern(folder / f"Mg2Si_100K.{kind}") for kind in ("cif", "csv"))
    assert cif.wavelength == 0.49935 and table.wavelength is None
    assert cif.two_theta == pytest.approx(table.two_theta) and (cif.counts == table.counts).all()
