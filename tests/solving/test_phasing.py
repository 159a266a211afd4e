"""Phases from measured amplitudes: groups by brute force, and structures that must come out."""

from collections import Counter

import moyopy
import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from test_atoms import PEROVSKITE, counts_of, same

from crystalnet.data.canonical import canonical
from crystalnet.data.crystals import symmetry_of
from crystalnet.errors import CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import promolecule_cmeds
from crystalnet.solving.amplitudes import calculated, grid, measured
from crystalnet.solving.groups import Operations, space_groups, symmetrised
from crystalnet.solving.phasing import _iterated, _projected, _resampled, phase

PYRITE = Structure.from_spacegroup("Pa-3", Lattice.cubic(5.417), ["Fe", "S"], [[0, 0, 0], [0.385] * 3])
LATTICE, COUNTS = PEROVSKITE.lattice.matrix, counts_of(PEROVSKITE)


@pytest.fixture(scope="module")
def perovskite() -> Observed:
    return Observed.of_structure(PEROVSKITE)


@pytest.fixture(scope="module")
def pyrite() -> Observed:
    return Observed.of_structure(PYRITE)


def group_of(number: int) -> Operations:
    operations = moyopy.operations_from_number(number, primitive=True)
    return Operations(number, np.array(operations.rotations), np.array(operations.translations))


def test_groups_are_those_of_brute_force(pyrite):
    lattice = PYRITE.lattice.matrix
    known = measured(pyrite, lattice, counts_of(PYRITE), grid(lattice))
    by_length = Counter()
    for h, k, l in np.ndindex(*[23] * 3):  # noqa: E741
        n = (h - 11) ** 2 + (k - 11) ** 2 + (l - 11) ** 2
        if 0 < n <= (5.417 / 0.5) ** 2:
            by_length[n] += 1
    members = torch.zeros(len(known.power)).index_add_(0, known.group, known.weight)
    squared = np.round((2 * known.s * 5.417) ** 2).astype(int)
    for group in range(1, len(known.power) - 1):
        lengths = set(squared[known.group.numpy() == group].tolist())
        assert len(lengths) == 1
        assert members[group] == by_length[lengths.pop()]
    assert members[1:-1].sum() == sum(by_length.values())


def test_projection_gives_every_group_its_power_and_keeps_phases(perovskite):
    shape = grid(LATTICE)
    known = measured(perovskite, LATTICE, COUNTS, shape)
    maps = _projected(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)), known)
    series = torch.fft.rfftn(maps, dim=(1, 2, 3)).flatten(1)
    power = torch.zeros(2, len(known.power)).index_add_(1, known.group, series.abs() ** 2 * known.weight)
    seen = ~known.bound
    assert torch.allclose(power[:, seen], known.power[seen].expand(2, -1), rtol=1e-3, atol=1e-6)
    assert torch.allclose(_projected(maps, known), maps, atol=1e-6)


def test_calculated_atoms_have_the_measured_power(pyrite):
    lattice = PYRITE.lattice.matrix
    known = measured(pyrite, lattice, counts_of(PYRITE), grid(lattice))
    series = calculated(Atoms.of(PYRITE), known, counts_of(PYRITE))
    power = torch.zeros(len(known.power)).index_add_(0, known.group, series.abs() ** 2 * known.weight)
    seen = ~known.bound
    assert torch.allclose(power[seen], known.power[seen], rtol=2e-2, atol=1e-5)


def test_true_phases_give_the_atoms_back(pyrite):
    seeds = promolecule_cmeds([PYRITE])
    found = phase(pyrite, PYRITE.lattice.matrix, counts_of(PYRITE), seeds, iterations=0)
    assert same(found.atoms[0][1], PYRITE)
    assert found.figure[0] == found.atoms[0][0] < 0.1


def test_random_starts_solve_an_easy_crystal(perovskite):
    found = phase(perovskite, LATTICE, COUNTS, groups=[group_of(221)], n_random=6)
    assert same(found.atoms[0][1], PEROVSKITE)
    assert found.maps.shape[0] == len(found.figure) == 6
    assert (found.seed == -1).all()


def test_shifted_and_inverted_seeds_give_shifted_and_inverted_maps(pyrite):
    lattice = PYRITE.lattice.matrix
    known = measured(pyrite, lattice, counts_of(PYRITE), grid(lattice))
    seed = torch.randn(1, *known.shape, generator=torch.Generator().manual_seed(0)).double()
    seed, exact = seed - seed.mean(), known._replace(power=known.power.double(), weight=known.weight.double())
    found = _iterated(seed, exact, 10)
    moved = _iterated(seed.roll((3, 1, 5), (1, 2, 3)), exact, 10)
    turned = _iterated(seed.flip(1, 2, 3), exact, 10)
    assert torch.allclose(moved, found.roll((3, 1, 5), (1, 2, 3)), atol=1e-6 * float(found.max()))
    assert torch.allclose(turned, found.flip(1, 2, 3), atol=1e-6 * float(found.max()))


def test_a_seed_near_the_truth_locks_in_where_random_starts_fail(pyrite):
    rough = PYRITE.copy()
    rough.perturb(0.15)
    arguments = pyrite, PYRITE.lattice.matrix, counts_of(PYRITE)
    seeded = phase(*arguments, promolecule_cmeds([rough]), iterations=30)
    unseeded = phase(*arguments, n_random=1, iterations=0)
    assert same(seeded.atoms[0][1], PYRITE)
    assert seeded.figure.min() < unseeded.figure.min()


@pytest.mark.parametrize("number", [205, 227, 167, 146])
def test_symmetric_maps_stay_symmetric(number):
    group = group_of(number)
    lattice = moyo_lattice(number)
    shape = grid(lattice, [group])
    maps = symmetrised(torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)), group)
    assert torch.allclose(symmetrised(maps, group), maps, atol=1e-5)


def moyo_lattice(number: int) -> np.ndarray:
    """A primitive cell of the group's lattice."""
    conventional = Lattice.cubic(6.1) if number > 194 else Lattice.hexagonal(5.2, 6.1)
    entry = moyopy.HallSymbolEntry(symmetry_hall_number(number))
    return np.linalg.solve(np.round(entry.centering.linear).T, conventional.matrix)


def symmetry_hall_number(number: int) -> int:
    return next(h for h in range(1, 531) if moyopy.HallSymbolEntry(h).number == number)


def test_resampling_keeps_what_both_grids_hold():
    coarse = promolecule_cmeds([PEROVSKITE], n=20)
    fine = _resampled(coarse, (40, 40, 40))
    assert torch.allclose(fine[:, ::2, ::2, ::2], coarse, atol=1e-9)


@pytest.mark.parametrize("structure", [PEROVSKITE, PYRITE])
def test_the_true_space_group_is_among_those_that_the_peaks_allow(structure):
    atoms = canonical(Atoms.of(structure))
    numbers = [group.number for group in space_groups(atoms.lattice, Observed.of_structure(atoms))]
    assert symmetry_of(atoms, "it").number in numbers
    assert min(numbers) >= 195
    assert 227 not in numbers


def test_canonical_crystals_obey_the_group_in_its_setting():
    atoms = canonical(Atoms.of(PYRITE))
    (group,) = (g for g in space_groups(atoms.lattice, Observed.of_structure(atoms)) if g.number == 205)
    cmeds = _resampled(promolecule_cmeds([atoms]), grid(atoms.lattice, [group]))
    assert torch.allclose(symmetrised(cmeds, group), cmeds, atol=1e-3 * float(cmeds.max()))


SEEDS = torch.ones(1, 8, 8, 8)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"seeds": SEEDS * torch.nan}, "finite"),
        ({"seeds": torch.ones(8, 8, 8)}, "S, n, n, n"),
        ({"seeds": None}, "nothing to begin with"),
        ({"lattice": np.eye(2)}, "lattice"),
        ({"lattice": LATTICE * 5}, "Å\\^3"),
        ({"counts": {"Sr": 40}}, "Å\\^3"),
        ({"counts": {"Sr": -1}}, "content"),
    ],
)
def test_bad_input_names_its_cause(perovskite, changed, cause):
    arguments = {"lattice": LATTICE, "counts": COUNTS, "seeds": SEEDS} | changed
    with pytest.raises(CrystalNetError, match=cause):
        phase(perovskite, **arguments)
