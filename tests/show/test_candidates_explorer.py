"""The explorer of ranked answers, driven from Python."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import CrystalNetError
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.show.explorers import CandidatesExplorer
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import Solution, solve

SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
BLENDE = Structure.from_spacegroup(216, Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture(scope="module")
def solution() -> Solution:
    catalogue = Catalogue([crystal_from_structure(s, name) for name, s in (("a", SALT), ("b", BLENDE))])
    peaks = powder_peaks(SALT, 1.5406, (10, 120))
    return solve(peaks, "NaCl", 1.5406, "cubic", catalogue=catalogue, sources=["analogues"], progress=False)


@pytest.fixture
def explorer(solution) -> CandidatesExplorer:
    return CandidatesExplorer(solution)


def test_it_begins_with_the_first_two(explorer, solution):
    assert (explorer.first, explorer.second) == (1, 2) and explorer.chosen == solution.candidates[:2]
    labels = [label for label, _ in explorer._controls["first"].options]
    assert len(labels) == len(solution.candidates) > 1
    assert "NaCl, space group 225" in labels[0] and f"{solution.candidates[0].distance:.3f}" in labels[0]
    assert f"probability {solution.confidence:.2f}" in explorer._message.value


def test_the_other_candidate_changes_its_side_alone(explorer, solution):
    curves = {
        name: np.asarray(panel.data[1].y) for name, panel in explorer._panels.items() if "pattern" in name
    }
    explorer.first = 2
    now = {name: np.asarray(panel.data[1].y) for name, panel in explorer._panels.items() if "pattern" in name}
    assert not np.array_equal(curves["left pattern"], now["left pattern"])
    np.testing.assert_array_equal(curves["right pattern"], now["right pattern"])
    assert explorer._panels["left atoms"].layout.title.text.startswith("2: ")
    assert explorer._texts[0].value == explorer._texts[1].value


def test_a_cif_is_that_of_the_candidate(explorer):
    for candidate, text in zip(explorer.chosen, explorer._texts, strict=True):
        read = Structure.from_str(text.value, fmt="cif")
        assert StructureMatcher().fit(read, structure_of(candidate.trial.atoms))
    assert explorer.cifs[0] != explorer.cifs[1]


def test_a_view_comes_back_and_ranks_that_do_not_exist_are_refused(explorer):
    explorer.state = {"first": 2, "second": 1}
    kept = explorer.state
    explorer.first, explorer.second = 1, 2
    with pytest.raises(CrystalNetError, match="99 is not among the choices of Left"):
        explorer.first = 99
    explorer.state = kept
    assert explorer.state == kept and explorer.chosen[0].trial.template.space_group == 216


def test_one_candidate_stands_beside_itself_and_none_is_an_error(solution):
    alone = CandidatesExplorer(replace(solution, candidates=solution.candidates[:1]))
    assert (alone.first, alone.second) == (1, 1) and alone.error == ""
    with pytest.raises(CrystalNetError, match="no candidate to explore"):
        CandidatesExplorer(replace(solution, candidates=[]))


def test_errors_stand_in_the_widget(explorer, monkeypatch):
    def fail(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(explorer, "_cif", fail)
    explorer.first = 2
    assert explorer.error == "RuntimeError: no room" and 'role="alert"' in explorer._message.value
