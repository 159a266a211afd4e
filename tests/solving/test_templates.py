"""Templates, their reflections and refinement, against powder_peaks, pymatgen and differences."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure, SymmOp

from crystalnet.data.crystals import symmetry_of
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import form_factor
from crystalnet.solving import refinement
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.frames import Frame, Frames
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.refinement import LAST_STAGE, Trial, refine
from crystalnet.solving.templates import Template, strained


def made(number, lattice, symbols, coords):
    return Structure.from_spacegroup(number, lattice, symbols, coords)


CRYSTALS = {
    "rock salt": made(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "pyrite": made(205, Lattice.cubic(5.42), ["Fe", "S"], [[0, 0, 0], [0.385, 0.385, 0.385]]),
    "spinel": made(227, Lattice.cubic(8.09), ["Mg", "Al", "O"], [[0, 0, 0], [0.625] * 3, [0.3625] * 3]),
    "quartz": made(
        152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2142]]
    ),
    "corundum": made(167, Lattice.hexagonal(4.76, 12.99), ["Al", "O"], [[0, 0, 0.352], [0.306, 0, 0.25]]),
    "wurtzite": made(
        186, Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
    ),
    "rutile": made(136, Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
    "anatase": made(141, Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]),
    "aragonite": made(
        62,
        Lattice.orthorhombic(5.74, 4.96, 7.97),
        ["Ca", "C", "O", "O"],
        [[0.759, 0.25, 0.415], [-0.085, 0.25, 0.762], [-0.096, 0.25, 0.9225], [-0.0873, 0.4735, 0.681]],
    ),
    "baddeleyite": made(
        14,
        Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
        ["Zr", "O", "O"],
        [[0.275, 0.04, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]],
    ),
    "copper oxide": made(
        15, Lattice.monoclinic(4.68, 3.42, 5.13, 99.5), ["Cu", "O"], [[0.25, 0.25, 0], [0, 0.418, 0.25]]
    ),
    "triclinic": made(
        2, Lattice.from_parameters(3.1, 4.2, 5.3, 81, 95, 107), ["Cu", "S"], [[0, 0, 0], [0.3, 0.45, 0.4]]
    ),
}
N_FREE = {  # International Tables: free coordinates of the occupied sites
    "rock salt": 0, "pyrite": 1, "spinel": 1, "quartz": 4, "corundum": 2, "wurtzite": 2, "rutile": 1,
    "anatase": 1, "aragonite": 9, "baddeleyite": 9, "copper oxide": 1, "triclinic": 3,
}  # fmt: skip


def template_of(name):
    return Template.of(Atoms.of(CRYSTALS[name]), name)


def trial_of(template):
    return Trial(template, template.lattice, tuple(template.symbols.tolist()), template.frac_coords)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_template_gives_its_crystal_back(name):
    template = template_of(name)
    assert StructureMatcher().fit(structure_of(trial_of(template).atoms), CRYSTALS[name])
    assert template.space_group == symmetry_of(Atoms.of(CRYSTALS[name]), name).number
    assert template.freedom.shape[2] == N_FREE[name]


@pytest.mark.parametrize("name", CRYSTALS)
def test_movements_keep_the_space_group(name):
    template = template_of(name)
    moved = template.frac_coords + template.freedom @ np.linspace(0.004, 0.009, template.freedom.shape[2])
    atoms = template.atoms(template.lattice, template.symbols, moved)
    assert symmetry_of(atoms, name, 1e-4).number == template.space_group


@pytest.mark.parametrize("name", CRYSTALS)
def test_strains_are_those_that_the_point_group_allows(name):
    template = template_of(name)
    given = (
        CRYSTALS[name].copy().apply_operation(SymmOp.from_axis_angle_and_translation([1, 2, 3], 40))
    )  # however the crystal lies
    assert np.allclose(Template.of(Atoms.of(given)).lattice, template.lattice, atol=1e-6)
    primitive = np.linalg.inv(template.cell) @ template.lattice
    turns = primitive.T @ template.rotations @ np.linalg.inv(primitive.T)
    # the mean over the group of any strain is one that it allows: the trace of that map counts them
    traces = np.trace(turns, axis1=1, axis2=2)
    squares = np.trace(turns @ turns, axis1=1, axis2=2)
    assert len(template.strains) == round(float(((traces**2 + squares) / 2).mean()))
    for strain in template.strains:
        assert np.allclose(turns @ strain @ turns.transpose(0, 2, 1), strain, atol=1e-6)
        lattice = strained(template.lattice, 0.01 * strain)
        stretched = template.atoms(lattice, template.symbols)
        assert symmetry_of(stretched, name, 1e-4).number == template.space_group


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_calculated_curve_is_that_of_the_exact_peaks(name):
    """Reflections by symmetry and smeared, against every reflection of `powder_peaks`, itself pymatgen's."""
    trial = trial_of(template_of(name))
    frames = Frames(Observed.of_structure(trial.atoms))
    for highest in (0.45, 0.9, 1.4):
        assert trial.distance(frames, highest) < 5e-4  # peaks too weak for the list hide beside listed ones
    longer = replace(trial, lattice=trial.lattice * 1.01)
    assert longer.distance(frames, 0.9) > 0.3


def test_many_fillings_at_once_are_as_one_by_one():
    template = template_of("spinel")
    frame = Frames(Observed.of_structure(CRYSTALS["spinel"]))(template, template.lattice, 0.45)
    fillings = [{"Mg": "Mg", "Al": "Al", "O": "O"}, {"Mg": "Al", "Al": "Mg", "O": "O"}]
    together = frame.distances(fillings, template.symbols, template.frac_coords)
    alone = [
        frame.distance([filling[symbol] for symbol in template.symbols], template.frac_coords)
        for filling in fillings
    ]
    assert together[0] < 1e-3 < together[1]
    assert np.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("name", ["quartz", "spinel"])
def test_what_was_too_weak_to_be_seen_contradicts_nothing(name):
    trial = trial_of(template_of(name))
    exact = Observed.of_structure(trial.atoms)
    high = exact.peaks.intensity
    weakest = 0.02
    listed = high > 100 * weakest
    assert listed.sum() < 0.8 * len(listed)
    seen = replace(exact, s=exact.s[listed], intensity=exact.intensity[listed], weakest=weakest)
    ignorant = replace(seen, weakest=1e-5)
    assert trial.distance(Frames(seen), 0.9) < 0.03
    assert trial.distance(Frames(ignorant), 0.9) > 3 * trial.distance(Frames(seen), 0.9)
    frame = Frames(seen)(trial.template, trial.lattice, 0.9)
    intensity = frame.intensity(trial.symbols, frame.waves(trial.frac_coords))
    visible = frame.visible(intensity)
    dark = ~seen.has_peak(frame.s)
    assert (visible[~dark] == 1).all() and (visible[dark] < 0.1).all()
    # of a ring whose amplitude is twice the faintest visible one, half is missed
    single = np.unique(np.round(frame.s, 6), return_counts=True)
    alone = dark & np.isin(np.round(frame.s, 6), single[0][single[1] == 1])
    faintest = frame.faintest(frame._sums @ intensity)[frame._ring]
    raised = np.where(alone, 4 * faintest, intensity)
    np.testing.assert_allclose(frame.visible(raised)[alone], 0.5, atol=1e-6)


def test_form_factors_begin_with_all_electrons_and_fall():
    for symbol, z in (("O", 8), ("Fe", 26), ("U", 92)):
        f = form_factor(symbol).at(np.linspace(0, 1.5, 50))
        assert f[0] == pytest.approx(z) and (np.diff(f) < 0).all()


@pytest.mark.parametrize(
    "name",
    ["quartz", "corundum", "wurtzite", "pyrite", "anatase", "aragonite", "baddeleyite", "triclinic"],
)
def test_slopes_are_those_of_differences(name):
    trial = replace(trial_of(template_of(name)), b_factor=0.3)
    trial = replace(trial, lattice=trial.lattice * 1.0005)
    observed = Observed.of_structure(CRYSTALS[name])
    residual, slopes = refinement._left(
        trial, Frame(trial.template, trial.lattice, observed, 0.45), True, True
    )
    slopes = slopes()
    for p in range(slopes.shape[1]):
        step = np.zeros(slopes.shape[1])
        step[p] = 1e-6
        moved = refinement._moved(trial, step, True, True)
        frame = Frame(trial.template, moved.lattice, observed, 0.45)
        there, _ = refinement._left(moved, frame, True, True)
        assert np.abs((there - residual) / 1e-6 - slopes[:, p]).max() < 5e-3 * np.abs(slopes).max()


@pytest.mark.parametrize("name", ["pyrite", "spinel", "quartz", "corundum", "wurtzite", "rutile", "anatase"])
def test_refinement_finds_the_coordinates_again(name):
    trial = trial_of(template_of(name))
    frames = Frames(Observed.of_structure(trial.atoms))
    away = trial.template.freedom @ np.linspace(0.012, 0.025, trial.n_free)
    start = replace(trial, frac_coords=trial.frac_coords + away)
    end = refine(refine(start, frames), frames, LAST_STAGE)
    assert start.distance(frames, 0.9) > 0.03 > 0.01 > end.distance(frames, 0.9)


def test_lengths_and_thermal_motion_are_found_again():
    trial = trial_of(template_of("corundum"))
    truth = replace(trial, lattice=trial.lattice * np.array([1.0005, 1.0005, 0.9996])[:, None], b_factor=0.8)
    exact = Observed.of_structure(truth.atoms)
    observed = replace(exact, intensity=exact.intensity * np.exp(-2 * 0.8 * exact.s**2), exact=False)
    end = refine(trial, Frames(observed), ((0.45, 10), (0.75, 20), (1.2, 20)), lattice=True, thermal=True)
    assert np.allclose(end.lattice, truth.lattice, rtol=2e-4, atol=1e-6)
    assert end.b_factor == pytest.approx(0.8, abs=0.1)


def test_a_structure_of_low_symmetry_is_told_in_its_highest():
    """Cinnabar's space group with the proportions of rock salt is rock salt."""
    salt = CRYSTALS["rock salt"]
    atoms = Atoms.of(salt.get_primitive_structure())
    template = Template.of(atoms)
    low = made(166, Lattice.hexagonal(5.64 / 2**0.5, 5.64 * 3**0.5), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.5]])
    twisted = Structure(
        low.lattice, low.species, low.frac_coords + 0.001 * np.sin(np.arange(18).reshape(6, 3))
    )
    frames = Frames(Observed.of_structure(atoms))
    candidate = Candidate.of(trial_of(template), "a test", frames)
    assert candidate.simplified(frames) is candidate  # nothing higher
    found = Template.of(Atoms.of(twisted), tolerance=0.1)
    assert found.space_group == 225


def test_a_cell_of_low_symmetry_is_found_again():
    trial = trial_of(template_of("baddeleyite"))
    strain = np.tensordot([0.001, -0.0008, 0.0012, 0.0009], trial.template.strains, 1)
    truth = replace(trial, lattice=strained(trial.lattice, strain))
    observed = replace(Observed.of_structure(truth.atoms), exact=False)
    end = refine(trial, Frames(observed), ((0.45, 10), (0.75, 20), (1.2, 20)), lattice=True)
    assert np.allclose(end.lattice, truth.lattice, atol=2e-3)
