"""Elements that nobody named: told from calculated intensities of crystals whose elements are known."""

import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.patterns.observed import Observed
from crystalnet.solving.candidates import MIDDLE
from crystalnet.solving.frames import Frames
from crystalnet.solving.naming import COARSE, NATURAL, completions, named
from crystalnet.solving.templates import Template

PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
HEUSLER = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]]


def template_of(number, a, symbols, coords):
    structure = Structure.from_spacegroup(number, Lattice.cubic(a), symbols, coords)
    crystal = crystal_from_structure(structure, "".join(symbols))
    return Template.of(crystal.atoms), Frames(Observed.of_structure(crystal.symmetrized))


@pytest.mark.parametrize("n_unnamed", [1, 2, 3])
@pytest.mark.parametrize(
    ("number", "a", "symbols", "coords"),
    [
        (221, 4.0, ["Ba", "Ti", "O"], PEROVSKITE),
        (225, 6.1, ["Al", "Mn", "Cu"], HEUSLER),
        (225, 6.7, ["Li", "Er", "Hg"], HEUSLER),
    ],
)
def test_exact_intensities_name_the_elements(number, a, symbols, coords, n_unnamed):
    template, frames = template_of(number, a, symbols, coords)
    told = {symbol: None if k < n_unnamed else symbol for k, symbol in enumerate(symbols)}
    frame = frames(template, template.lattice, MIDDLE)
    filling, distance = named(frame, template, template.frac_coords, told, completions(told)[0])
    assert distance < 1e-6 and sorted(filling.values()) == sorted(symbols)
    assert all(filling[role] == symbol for role, symbol in told.items() if symbol)


def test_completions_leave_what_was_told_and_repeat_no_element():
    assert completions({"A": "Fe", "B": "O"}) == [{"A": "Fe", "B": "O"}]
    for n_unnamed, few in enumerate(COARSE, 1):
        told = {"A": "Fe"} | dict.fromkeys("BCDEF"[:n_unnamed])
        made = completions(told)
        assert len({tuple(one.values()) for one in made}) == len(made) > few - 2
        for one in made:
            assert one["A"] == "Fe" and len(set(one.values())) == len(one)
            assert set(one.values()) <= set(NATURAL)
    assert completions(dict.fromkeys("ABCDEF")) == []  # they would explain anything
