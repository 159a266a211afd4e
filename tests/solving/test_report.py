"""The report of a laboratory: what a crystallographer looks for stands in it, and it opens anywhere."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from browser import chromium_or_skip
from bs4 import BeautifulSoup
from pymatgen.core import Lattice, Structure

import crystalnet
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.simulation import simulated
from crystalnet.show.report import framed
from crystalnet.solving.report import absent, report, write_report
from crystalnet.solving.report.facts import Facts
from crystalnet.solving.report.lines import listed, strange
from crystalnet.solving.report.markdown import plain
from crystalnet.solving.report.picture import scene
from crystalnet.solving.rietveld import refined_or_why

RUTILE = Structure.from_spacegroup(
    136, Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
HOSTILE = "rutile <script>alert(1)</script> & co.xy".replace("/", "∕")


@pytest.fixture(scope="module")
def solution(tmp_path_factory):
    made = simulated(RUTILE, "CuKa1", (15, 100), crystallite_nm=80, counts=1e4)
    path = tmp_path_factory.mktemp("rutile") / HOSTILE
    np.savetxt(path, np.stack([made.two_theta, made.counts], 1), fmt="%.4f")
    return crystalnet.solve(path, "TiO2", "CuKa1", progress=False)


@pytest.fixture(scope="module")
def folder(solution, tmp_path_factory):
    refined, remarks = refined_or_why(solution.fit, solution.structure)
    return write_report(solution, tmp_path_factory.mktemp("out") / "it", refined, remarks=remarks)


@pytest.fixture(scope="module")
def page(folder) -> BeautifulSoup:
    return BeautifulSoup((folder / "report.html").read_text(encoding="utf-8"), "html.parser")


def told(page: BeautifulSoup, section: str) -> dict[str, str]:
    part = page.find(id=section)
    return {dt.text: dt.find_next("dd").text for dt in part.find_all("dt")}


def table(page: BeautifulSoup, section: str) -> pd.DataFrame:
    rows = [
        [cell.text for cell in row.find_all(["th", "td"])] for row in page.find(id=section).find_all("tr")
    ]
    return pd.DataFrame(rows[1:], columns=rows[0])


def number(text: str) -> float:
    return float(re.match(r"-?\d+\.?\d*", text)[0])


CHECKLIST = {
    "1 which pattern": lambda p: p.h1.text.startswith("rutile <script>"),
    "2 verdict": lambda p: "confident answer" in p.find(class_="verdict").text,
    "3 probability": lambda p: re.search(r"right: 0\.\d\d", p.find(class_="verdict").text),
    "4 what was assumed, first": lambda p: "no header" in p.find(class_="verdict").find_next("p").text,
    "5 wavelength": lambda p: told(p, "given")["wavelength"] == "1.54056 Å",
    "6 composition": lambda p: told(p, "given")["composition"] == "TiO2",
    "7 angles measured": lambda p: "15.00 to" in told(p, "given")["measured"],
    "8 second line of the tube": lambda p: told(p, "given")["Kα₂"],
    "9 observed, calculated, difference": lambda p: all(
        p.svg.find("path", class_=name)["d"].count("L") > 500
        for name in ("measured", "calculated", "difference")
    ),
    "10 a tick a reflection": lambda p: p.svg.find("path", class_="ticks")["d"].count("M") > 15,
    "11 lines that are not explained": lambda p: p.find(id="unexplained-and-missing-lines").p,
    "12 R factors": lambda p: {"Rp", "Rwp", "Rexp", "GoF", "R_Bragg"} <= set(told(p, "pattern")),
    "13 shift": lambda p: any(name.startswith("shift") for name in told(p, "pattern")),
    "14 space group": lambda p: told(p, "crystal")["space group"] == "P4_2/mnm (136)",
    "15 cell with uncertainties": lambda p: re.fullmatch(r"4\.59\d+\(\d+\) Å", told(p, "crystal")["a"]),
    "16 formula units": lambda p: told(p, "crystal")["Z"] == "2",
    "17 volume": lambda p: number(told(p, "crystal")["volume"]) == pytest.approx(62.45, abs=0.1),
    "18 density": lambda p: number(told(p, "crystal")["density"]) == pytest.approx(4.248, abs=0.01),
    "19 formula weight": lambda p: (
        number(told(p, "crystal")["formula weight"]) == pytest.approx(79.87, abs=0.01)
    ),
    "20 sites": lambda p: table(p, "sites")["Wyckoff"].isin(["2a", "4f", "4g"]).all(),
    "21 coordinates, B, uncertainties": lambda p: (
        "(" in table(p, "sites")["x"][1]
        and min(abs(number(table(p, "sites")["x"][1]) % 1 - x) for x in (0.305, 0.695, 0.195, 0.805)) < 0.01
        and "(" in table(p, "sites")["B (Å²)"][0]
    ),
    "22 neighbours": lambda p: re.match(r"\d × O1 1\.9", table(p, "distances")["neighbours (Å)"][0]),
    "23 valence sums": lambda p: (
        number(table(p, "distances")["bond-valence sum"][0]) == pytest.approx(4, abs=0.5)
    ),
    "24 candidates and why they stand there": lambda p: (
        "explains most" in table(p, "candidates")["reason"][0]
    ),
    "25 reflections": lambda p: table(p, "reflections")["h k l"][0] == "1 1 0",
    "26 a picture that turns": lambda p: "pointermove" in p.find_all("script")[-1].text and p.canvas,
    "27 version, hardware, time": lambda p: (
        {"CrystalNet", "Python", "hardware", "time"} <= set(told(p, "how-it-was-made"))
    ),
}


@pytest.mark.parametrize("item", CHECKLIST)
def test_a_crystallographer_finds(page, item):
    assert CHECKLIST[item](page)


def test_nothing_is_loaded_and_no_name_is_code(page, folder):
    assert len(page.find_all("script")) == 2 and "alert" not in "".join(
        s.text for s in page.find_all("script")
    )
    assert not page.find_all(src=True) and [link["href"] for link in page.find_all("link")] == ["data:,"]
    assert "http" not in (folder / "report.html").read_text(encoding="utf-8")
    assert "\\<script\\>" in (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def browser():
    yield from chromium_or_skip()


def test_the_crystal_is_drawn(folder, tmp_path, browser):
    text = (folder / "report.html").read_text(encoding="utf-8")
    probe = (
        '<script>document.title = [...document.querySelector("canvas").getContext("2d")'
        ".getImageData(0, 0, 720, 520).data].filter(x => x).length</script>"
    )
    path = tmp_path / "it.html"
    path.write_text(text.replace("</body>", probe + "</body>"), encoding="utf-8")
    browser.get(path.as_uri())
    assert int(browser.title) > 10_000


def test_files_of_other_programs_lie_beside_it(folder, solution):
    names = {path.name for path in folder.iterdir()}
    assert {"refined.cif", "refined.inp", "refined.pcr", "refined.instprm", "1-density.cube"} <= names
    assert len(pd.read_csv(folder / "reflections.csv")) > 15


def test_lines_of_another_crystal_are_strange(solution):
    found = strange(solution, SALT)
    assert len(found.unexplained) and len(found.missing)
    own = strange(solution, solution.structure)
    assert len(own.unexplained) == 0 and len(own.missing) == 0 and abs(own.shift) < 0.05
    rows = listed(SALT, solution.observed)
    assert rows["h k l"][0] == "1 1 1" and rows["d (Å)"][0] == pytest.approx(5.64 / 3**0.5, abs=1e-3)


def test_the_book_shows_the_same_page(solution):
    frame = BeautifulSoup(framed(solution).data, "html.parser").iframe
    inner = BeautifulSoup(frame["srcdoc"], "html.parser")
    assert inner.h1.text == solution.name and "Not refined" in inner.find(id="pattern").text


def test_without_a_refinement_the_report_says_so(solution):
    text = report(solution)
    assert "Not refined." in text and "Wyckoff" in text
    facts = Facts.of(replace(solution, candidates=[]))
    assert facts.structure is None and facts.sections[0].title == "Given"


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(CrystalNetError, match="exists already") as error:
        absent(tmp_path)
    assert error.value.code is Code.NOT_WRITTEN


def test_bonds_of_the_picture_are_the_shortest(solution):
    drawn = scene(RUTILE)
    places = np.array([atom[:3] for atom in drawn["atoms"]])
    lengths = [np.linalg.norm(places[i] - places[j]) for i, j in drawn["bonds"]]
    assert len(drawn["edges"]) == 12 and max(lengths) < 2.1 and min(lengths) > 1.9


def test_a_name_means_nothing_to_markdown():
    assert plain("a|b\n# c") == "a\\|b # c"
