"""Every format of file gives the numbers that were written; what a file can't be is refused by its kind."""

import numpy as np
import pytest
from some_files import (
    ANGLES,
    BANK,
    CIF_RANGE,
    COUNTS,
    FILES,
    NOISY,
    OMEGA_SCAN,
    PAIRS,
    SIGMA,
    WAVELENGTH,
    XY,
    Q,
    archive,
    asc,
    cif,
    in_rows,
    ras,
    raw_2,
    raw_3,
    rd,
    table,
    xrdml,
    xrdml_scan,
)

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import read_pattern

STATED = {
    "highscore.csv": 1.540598, "jade.mdi": 1.540598, "sietronics.cpi": 1.54056, "rigaku.asc": 1.54059,
    "rigaku.ras": 1.540593, "diffrac.uxd": 1.5406, "version1.raw": 1.5406, "version2.raw": 1.5406,
    "version3.raw": 1.5406, "one.xrdml": 1.540598, "nanometres.xrdml": 1.540598, "scan.cif": 1.5406,
    "philips.udf": 1.5406, "version4.raw": 1.5406, "diffrac.brml": 1.5406, "rigaku.rasx": 1.540593,
}  # fmt: skip


def put(folder, name, data):
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_what_was_written(name, tmp_path):
    pattern = read_pattern(put(tmp_path, name, FILES[name]))
    start = np.searchsorted(pattern.two_theta, 9.9)
    assert pattern.two_theta[start:] == pytest.approx(ANGLES, abs=1e-4)
    assert pattern.counts[start:] == pytest.approx(COUNTS, abs=1e-4)
    assert name not in STATED or pattern.wavelength == pytest.approx(STATED[name], abs=1e-6)
    assert read_pattern(tmp_path / name, "MoKa").wavelength == 0.71073


@pytest.mark.parametrize(
    "name", ["version3.raw", "scan.cif", "std.gsas", "one.xrdml", "instrm6.dat", "rigaku.asc"]
)
@pytest.mark.parametrize("suffix", [".xy", ".raw", ".bin", ""])
def test_the_content_tells_the_format(name, suffix, tmp_path):
    assert read_pattern(put(tmp_path, "a" + suffix, FILES[name])).counts == pytest.approx(COUNTS, abs=1e-4)


ONES = " ".join(["5"] * 119 + ["7"])
EARLY = slice(0, 100)
SEVERAL = {
    "scans.xy": "# scan 1\n" + XY + "# scan 2\n" + table(ANGLES, COUNTS + 3),
    "columns.csv": "2theta,25 C,50 C\n" + table(ANGLES, COUNTS, COUNTS + 3, separator=","),
    "scans.xrdml": xrdml(xrdml_scan(), xrdml_scan(counts=COUNTS + 3)),
    "banks.gsa": "Title\n" + 2 * (BANK.format(n=12, kind="STD").removeprefix("Title\n") + in_rows(COUNTS)),
    "blocks.cif": cif(PAIRS, table(ANGLES, COUNTS))
    + cif(PAIRS, table(ANGLES, COUNTS + 3)).replace("data_x", "data_y"),
    "scans.raw": raw_3(slice(None), EARLY),
    "scans.ras": ras(slice(None), EARLY),
    "scans.asc": asc() + asc(EARLY),
}


@pytest.mark.parametrize("name", [name for name in SEVERAL if name != "banks.gsa"])
def test_several_scans_are_listed_and_one_is_chosen(name, tmp_path):
    path = put(tmp_path, name, SEVERAL[name])
    with pytest.raises(CrystalNetError, match="scan=1 to 2") as raised:
        read_pattern(path)
    assert raised.value.code is Code.SEVERAL_SCANS
    first, second = (read_pattern(path, scan=i) for i in (1, 2))
    assert first.counts == pytest.approx(COUNTS)
    assert len(second.counts) == 100 or second.counts == pytest.approx(COUNTS + 3)
    for scan in (0, 3, -1, True, 1.0, "1"):
        with pytest.raises(CrystalNetError, match="no scan") as raised:
            read_pattern(path, scan=scan)
        assert raised.value.code is Code.BAD_ARGUMENT


def test_roots_of_counts_are_squared(tmp_path):
    pattern = read_pattern(put(tmp_path, "philips.rd", rd()))
    assert (
        pattern.counts == pytest.approx(COUNTS, abs=0.2 * np.sqrt(COUNTS.max()))
        and pattern.wavelength == 1.5406
    )


def test_equal_scans_are_one(tmp_path):
    pattern = read_pattern(put(tmp_path, "banks.gsa", SEVERAL["banks.gsa"]))
    assert pattern.counts == pytest.approx(COUNTS) and any("same" in told for told in pattern.assumptions)


BACKGROUND = np.round(17 + 5 * np.exp(-ANGLES / 40), 2)
FIT = np.round(COUNTS * 1.02 + 1, 2)


@pytest.mark.parametrize(
    ("columns", "has_sigma", "told"),
    [
        ((NOISY, SIGMA), True, "no header"),
        ((NOISY, BACKGROUND), False, "no standard deviations"),
        ((NOISY, FIT), False, "no standard deviations"),
        ((BACKGROUND, NOISY), False, "smooth"),
        ((FIT, NOISY), False, "smooth"),
        ((NOISY, np.zeros(120)), False, "no standard deviations"),
        ((NOISY, np.arange(120)), False, "no standard deviations"),
        ((NOISY, SIGMA, BACKGROUND), True, "column 4"),
    ],
)
def test_columns_without_a_header_are_told_by_what_they_hold(columns, has_sigma, told, tmp_path):
    pattern = read_pattern(put(tmp_path, "a.xy", table(ANGLES, *columns)))
    assert pattern.counts == pytest.approx(NOISY) and (pattern.sigma is not None) == has_sigma
    assert any(told in one for one in pattern.assumptions)


HEADERS = {
    "point,2theta,counts": (np.arange(120), ANGLES, NOISY),
    "energy,2theta,counts": (ANGLES, ANGLES, NOISY),
    "counts,2theta": (NOISY, ANGLES),
    "2theta,d (A),counts,rel. int. (%)": (ANGLES, 2 * ANGLES, NOISY, NOISY / 30),
    "2theta,I(calc),I(obs),I(bkg)": (ANGLES, FIT, NOISY, BACKGROUND),
    "2theta,Ibg,Iobs": (ANGLES, BACKGROUND, NOISY),
    "2theta,fitted,measured": (ANGLES, FIT, NOISY),
    "Q (1/A),2theta,I": (Q, ANGLES, NOISY),
    "x,y_obs,weight,y_calc,y_bkg,Q": (ANGLES, NOISY, SIGMA, FIT, BACKGROUND, Q),
    "Angle,TimePerStep,Intensity": (ANGLES, np.ones(120), NOISY),
}


@pytest.mark.parametrize("header", HEADERS)
def test_columns_with_a_header_are_told_by_their_labels(header, tmp_path):
    text = header + "\n" + table(*HEADERS[header], separator=",")
    pattern = read_pattern(put(tmp_path, "a.csv", text))
    assert pattern.two_theta == pytest.approx(ANGLES, abs=1e-5) and pattern.counts == pytest.approx(NOISY)
    assert pattern.sigma is None


def test_zero_deviations_and_what_else_is_left_out_is_told(tmp_path):
    some_zeros = np.where(NOISY < 15, 0, SIGMA)
    pattern = read_pattern(put(tmp_path, "a.xye", table(ANGLES, NOISY, some_zeros)))
    assert (pattern.sigma > 0).all() and any("deviations of 0" in told for told in pattern.assumptions)
    pattern = read_pattern(put(tmp_path, "b.xye", table(ANGLES, NOISY, np.zeros(120))))
    assert pattern.sigma is None and any("left out" in told for told in pattern.assumptions)
    pattern = read_pattern(
        put(tmp_path, "c.csv", "2theta,I,bkg\n" + table(ANGLES, NOISY, BACKGROUND, separator=","))
    )
    assert pattern.sigma is None and any("background" in told for told in pattern.assumptions)
    assert not read_pattern(
        put(tmp_path, "d.csv", "2theta,I\n" + table(ANGLES, NOISY, separator=","))
    ).assumptions


def test_a_wavelength_alone_above_the_table(tmp_path):
    assert read_pattern(put(tmp_path, "a.xye", "0.82\n" + table(ANGLES, NOISY, SIGMA))).wavelength == 0.82


def test_the_wavelength_that_is_given_wins_and_says_so(tmp_path):
    path = put(tmp_path, "a.xrdml", FILES["one.xrdml"])
    assert any("takes the place" in told for told in read_pattern(path, 0.7093).assumptions)
    assert not any("takes the place" in told for told in read_pattern(path, "CuKa").assumptions)


def test_lines_of_a_tube_in_any_order(tmp_path):
    for lines in (("1.54439", "1.54056", "1.39222"), ("1.39222", "1.54056"), ("1.54056", "1.54439")):
        loop = "loop_\n_diffrn_radiation_wavelength_id\n_diffrn_radiation_wavelength\n"
        loop += "".join(f"{i} {line}\n" for i, line in enumerate(lines))
        text = "data_x\n" + loop + cif(PAIRS, table(ANGLES, COUNTS)).removeprefix("data_x\n")
        assert read_pattern(put(tmp_path, "a.cif", text)).wavelength == 1.54056


REFUSED = {
    "time.gsa": (
        "T\nBANK 1 120 120 SLOG 1500 9000 .002 0 FXYE\n" + table(100 * ANGLES, NOISY, SIGMA),
        Code.NOT_X_RAYS,
    ),
    "title.gsa": ("TOF data\n" + BANK.format(n=12, kind="STD") + in_rows(COUNTS), Code.NOT_X_RAYS),
    "cut.gsa": (BANK.format(n=12, kind="STD") + in_rows(COUNTS[:90]), Code.FILE_UNREADABLE),
    "neutrons.cif": (cif(PAIRS, table(ANGLES, COUNTS), "_diffrn_radiation_probe neutron"), Code.NOT_X_RAYS),
    "time.cif": (cif(PAIRS.replace("2theta_scan", "time_of_flight"), table(ANGLES, COUNTS)), Code.NOT_X_RAYS),
    "cut.cif": (
        cif("_pd_meas_counts_total", table(COUNTS[:90], form="{:.0f}"), CIF_RANGE),
        Code.FILE_UNREADABLE,
    ),
    "points.cif": (
        cif(PAIRS, table(ANGLES, COUNTS), "_pd_meas_number_of_points 4000"),
        Code.FILE_UNREADABLE,
    ),
    "fit.cif": (
        cif("_pd_proc_2theta_corrected\n_pd_calc_intensity_total", table(ANGLES, COUNTS)),
        Code.NOT_A_PATTERN,
    ),
    "neutrons.dat": ("# neutron powder diffraction\n" + XY, Code.NOT_X_RAYS),
    "mantid.xye": ("# Time-of-flight in microseconds\n" + table(ANGLES, NOISY, SIGMA), Code.NOT_X_RAYS),
    "index.txt": (table(np.arange(120), COUNTS, form="{:.0f}"), Code.UNKNOWN_UNIT),
    "name.csv": ("foo,counts\n" + table(ANGLES, COUNTS, separator=","), Code.UNKNOWN_UNIT),
    "fit.csv": ("2theta,calc\n" + table(ANGLES, COUNTS, separator=","), Code.NOT_A_PATTERN),
    "q.txt": ("q I\n" + table(10 * Q, COUNTS), Code.UNKNOWN_UNIT),
    "q.csv": ("q (1/A),I\n" + table(10 * Q, COUNTS, separator=","), Code.BAD_WAVELENGTH),
    "theta.csv": ("theta (deg),I\n" + table(2 * ANGLES, COUNTS, separator=","), Code.UNKNOWN_UNIT),
    "commas.csv": (table(ANGLES, COUNTS, separator=",", form="{:.2f}", comma=True), Code.FILE_UNREADABLE),
    "instrm0.dat": ("10.0 0.5 69.5 title\n" + in_rows(COUNTS[:80]), Code.FILE_UNREADABLE),
    "omega.asc": (asc(axis="omega"), Code.UNKNOWN_UNIT),
    "cut.asc": (asc(count=130), Code.FILE_UNREADABLE),
    "omega.xrdml": (xrdml(OMEGA_SCAN.format(counts=ONES)), Code.UNKNOWN_UNIT),
    "cut2.raw": (raw_2()[:-40], Code.FILE_UNREADABLE),
    "cut3.raw": (raw_3()[:-40], Code.FILE_UNREADABLE),
    "stoe.raw": (b"RAW_1.06Powdat" + bytes(500), Code.UNKNOWN_FORMAT),
    "book.xlsx": (archive(xl__workbook_dot_xml="<a/>"), Code.UNKNOWN_FORMAT),
    "map.h5": (b"\x89HDF\r\n" + bytes(300), Code.UNKNOWN_FORMAT),
    "page.xy": ("<html>" + XY, Code.UNKNOWN_FORMAT),
    "peaks.txt": ("1 1 1 3.1 100\n2 0 0 2.7 50\n", Code.NOT_A_PATTERN),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_its_kind(name, tmp_path):
    data, code = REFUSED[name]
    with pytest.raises(CrystalNetError) as raised:
        read_pattern(put(tmp_path, name, data), WAVELENGTH)
    assert name in str(raised.value) and raised.value.code is code, raised.value


def test_archives_that_unpack_without_bounds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("crystalnet.patterns.formats.vendors.MOST_UNPACKED", 2**20)
    with pytest.raises(CrystalNetError, match="unpacks") as raised:
        read_pattern(put(tmp_path, "bomb.rasx", archive(Data0__Profile0_dot_txt="0" * 2**21)))
    assert raised.value.code is Code.TOO_LARGE
