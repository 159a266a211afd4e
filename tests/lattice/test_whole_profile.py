"""Cells of known structures, strained until their curve is that of the measurement."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from crystalnet.lattice.curves import Batch, Comparison, Lines
from crystalnet.lattice.whole_profile import FEWEST, fitted
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.profile import Profile
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.profile_search import lines_of
from crystalnet.solving.refinement import Trial
from crystalnet.solving.templates import Template, strained

CRYSTALS = {
    "orthorhombic": Structure.from_spacegroup(
        62,
        Lattice.orthorhombic(10.19, 5.98, 4.76),
        ["Mg", "Mg", "Si", "O", "O", "O"],
        [[0, 0, 0], [0.277, 0.25, 0.991], [0.094, 0.25, 0.426], [0.091, 0.25, 0.766], [0.447, 0.25, 0.221],
         [0.163, 0.033, 0.277]],
    ),
    "monoclinic": Structure.from_spacegroup(
        14, Lattice.monoclinic(5.15, 5.21, 5.32, 99.2), ["Zr", "O", "O"],
        [[0.275, 0.040, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]],
    ),
    "cubic": Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}  # fmt: skip


def trial_of(structure) -> Trial:
    template = Template.of(Atoms.of(structure.get_primitive_structure()))
    return Trial(template, template.lattice, tuple(template.symbols.tolist()), template.frac_coords)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_strained_cell_is_found_again(name):
    trial = trial_of(CRYSTALS[name])
    rng = np.random.default_rng(1)
    strain = np.tensordot(rng.uniform(-0.015, 0.015, len(trial.template.strains)), trial.template.strains, 1)
    true = strained(trial.lattice, strain)
    atoms = trial.template.atoms(true, np.array(trial.symbols))
    profile = Profile.of_peaks(Observed.of_structure(atoms, 1.5406, (10, 90)))
    lines = lines_of(trial, profile)
    found = fitted(profile, [lines])[0]
    lattice = lines.strained(trial.lattice, found.strain)
    assert np.allclose(lattice @ lattice.T, true @ true.T, atol=0.03 * 5)
    assert np.linalg.norm(lattice, axis=1) == pytest.approx(np.linalg.norm(true, axis=1), rel=1.5e-3)
    assert found.distance < 0.2 and found.height == 0


def test_gradients_are_those_of_the_cosine():
    trial = trial_of(CRYSTALS["monoclinic"])
    profile = Profile.of_peaks(Observed.of_structure(trial.atoms, 1.5406, (10, 90)))
    batch, comparison = Batch.of([lines_of(trial, profile)], 200), Comparison(profile, 0.005)
    u = torch.full((1, 1, 7), 0.004)
    gradient = comparison(batch, u)[1][0, 0]
    for axis in range(4):
        step = torch.zeros(1, 1, 7)
        step[..., axis] = 1e-3
        rise = comparison(batch, u + step)[0] - comparison(batch, u - step)[0]
        assert float(rise) / 2e-3 == pytest.approx(float(gradient[axis]), rel=0.1, abs=0.3)


def test_the_true_structure_is_nearest_and_others_end_early():
    trials = [trial_of(structure) for structure in CRYSTALS.values()]
    profile = Profile.of_peaks(Observed.of_structure(trials[0].atoms, 1.5406, (10, 90)))
    right, *others = (lines_of(trial, profile) for trial in trials)
    many = [right, *others * FEWEST]
    found = fitted(profile, many)
    assert min(found, key=lambda place: found[place].distance) == 0 and FEWEST <= len(found) < len(many)
    assert fitted(profile, []) == {}
    none = Lines(np.zeros(0), np.zeros((0, 2)), np.zeros(0), trials[2].template.strains)
    assert fitted(profile, [none]) == {}


def test_the_same_seed_gives_the_same_cell():
    trial = trial_of(CRYSTALS["orthorhombic"])
    profile = Profile.of_peaks(Observed.of_structure(trial.atoms, 1.5406, (10, 90)))
    lines = [lines_of(trial, profile)]
    one, other = (fitted(profile, lines, seed=3)[0] for _ in range(2))
    assert np.array_equal(one.strain, other.strain) and one.distance == other.distance
