"""Crystals laid upon each other, types fitted to them, and the file that holds those of the package."""

import gzip
import json
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from crystalnet.data.crystals import symmetry_of
from crystalnet.data.leakage import reduced_formula
from crystalnet.data.prototypes import library_crystals
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.clusters import fitted_types
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.members import Member, lies_upon
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import solve
from crystalnet.solving.sources import embedded
from crystalnet.solving.structure_types import FILE, TypeFile
from crystalnet.solving.templates import Template
from crystalnet.solving.type_writing import write

SEVEN = {  # a crystal of each family, and two whose origin the group leaves open
    "perovskite": Structure.from_spacegroup(
        221, Lattice.cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    ),
    "quartz": Structure.from_spacegroup(
        152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2142]]
    ),
    "wurtzite": Structure.from_spacegroup(
        186, Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
    ),
    "anatase": Structure.from_spacegroup(
        141, Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]
    ),
    "aragonite": Structure.from_spacegroup(
        62,
        Lattice.orthorhombic(5.74, 4.96, 7.97),
        ["Ca", "C", "O", "O"],
        [[0.759, 0.25, 0.415], [-0.085, 0.25, 0.762], [-0.096, 0.25, 0.9225], [-0.0873, 0.4735, 0.681]],
    ),
    "baddeleyite": Structure.from_spacegroup(
        14,
        Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
        ["Zr", "O", "O"],
        [[0.275, 0.04, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]],
    ),
    "triclinic": Structure.from_spacegroup(
        2,
        Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107),
        ["Cu", "S", "O"],
        [[0, 0, 0], [0.3, 0.45, 0.4], [0.1, 0.2, 0.7]],
    ),
    "P1": Structure(
        Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107),
        ["Cu", "S", "O"],
        [[0, 0, 0], [0.3, 0.45, 0.4], [0.12, 0.2, 0.7]],
    ),
}
OTHERS = {
    "Sr": "Ba",
    "Ti": "Zr",
    "O": "F",
    "Si": "Ge",
    "Zn": "Be",
    "Ca": "Pb",
    "C": "N",
    "Zr": "Hf",
    "Cu": "Ag",
    "S": "Se",
}
MINERALS = (
    "garnet", "apatite", "melilite", "calcite", "aragonite", "barite", "zircon", "scheelite", "spinel",
    "perovskite", "tetragonal perovskite", "orthorhombic perovskite", "rhombohedral perovskite", "olivine",
    "diopside", "enstatite", "albite", "rutile", "brookite", "anatase", "quartz", "kyanite", "ThCr2Si2",
)  # fmt: skip


def other_description(structure: Structure, seed: int) -> Atoms:
    """The same crystal in another cell, with another origin, its atoms in another order, perhaps mirrored."""
    rng = np.random.default_rng(seed)
    basis = np.eye(3, dtype=int)
    for _ in range(4):
        i, j = rng.choice(3, 2, replace=False)
        basis[i] += rng.integers(-1, 2) * basis[j]
    order = rng.permutation(len(structure))
    coords = structure.frac_coords[order] @ np.linalg.inv(basis) + rng.uniform(size=3)
    mirror = rng.choice([-1, 1])
    return Atoms(basis @ structure.lattice.matrix, mirror * coords, Atoms.of(structure).symbols[order])


def of_others(atoms: Atoms) -> Atoms:
    return atoms._replace(symbols=np.array([OTHERS[symbol] for symbol in atoms.symbols.tolist()]))


@given(st.sampled_from(sorted(SEVEN)), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_crystal_lies_upon_itself_however_it_is_described(name, seed):
    onto = Member.of(Atoms.of(SEVEN[name]))
    member = Member.of(of_others(other_description(SEVEN[name], seed)))
    found = lies_upon(member, onto)
    assert found is not None
    assert found.elements == tuple(OTHERS[symbol] for symbol in onto.roles)
    assert np.abs(found.strain).max() < 1e-4 and np.abs(found.moves).max() < 1e-3


def test_what_is_arranged_otherwise_does_not_lie_upon():
    """Sites of the same kind, but elsewhere: caesium chloride's atoms one above the other."""
    first, second = (
        Structure.from_spacegroup(123, Lattice.tetragonal(4, 4.1), ["Cs", "Cl"], [[0, 0, 0], place])
        for place in ([0.5, 0.5, 0.5], [0, 0, 0.5])
    )
    one, two = (Member.of(Atoms.of(structure)) for structure in (first, second))
    assert one.signature == two.signature and lies_upon(one, two) is None
    longer = Structure(Lattice.tetragonal(4, 5.5), first.species, first.frac_coords)
    assert lies_upon(Member.of(Atoms.of(longer)), one) is None


@pytest.mark.parametrize("name", SEVEN)
def test_a_fitted_type_is_the_mean_of_its_compounds(name):
    """Of two crystals, one strained by e and moved by d along what is free, the mean is strained by e / 2 and
    moved by d / 2, and e / 2 is the spread."""
    first = Template.of(Atoms.of(SEVEN[name]))
    step = np.tensordot(np.linspace(0.02, -0.03, len(first.strains)), first.strains, 1)
    lattice = first.lattice @ (np.eye(3) + step)
    moved = first.frac_coords + first.freedom @ np.linspace(0.01, 0.015, first.freedom.shape[2])
    second = of_others(first.atoms(lattice, first.symbols, moved))
    (fitted,) = fitted_types([("first", Atoms.of(SEVEN[name])), ("second", second), ("again", second)])
    assert fitted.n_compounds == 2 and all(sorted(role.values()) == [1, 1] for role in fitted.elements)
    template = fitted.template()
    middle = first.atoms((first.lattice + lattice) / 2, first.symbols, (first.frac_coords + moved) / 2)
    names = {new: old for old, new in OTHERS.items() if old in first.counts}
    symbols = np.array([names.get(symbol, symbol) for symbol in template.symbols.tolist()])
    assert StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5).fit(
        *(
            Structure(*atoms._replace(symbols=atoms.symbols)[:1], atoms.symbols, atoms.frac_coords)
            for atoms in (template.atoms(template.lattice, symbols), middle)
        )
    )
    volume_free = np.array([step[i, i] for i in range(3)])
    volume_free = np.append(volume_free - volume_free.mean(), [step[1, 2], step[0, 2], step[0, 1]])
    assert np.allclose(np.sort(fitted.strain_spread), np.sort(np.abs(volume_free) / 2), atol=2e-3)
    if name in ("quartz", "anatase", "aragonite"):  # where the origin is fixed
        assert fitted.spread.max() > 0.02


@pytest.fixture(scope="module")
def some_types(tmp_path_factory):
    """A file of some prototypes, and the crystals."""
    crystals = library_crystals()[::4]
    path = tmp_path_factory.mktemp("types") / "some.safetensors"
    types = {
        c.material_id: fitted_types([("it", c.atoms)], fewest=1, tolerances=(0.01,))[0] for c in crystals
    }
    order = sorted(types, key=lambda name: types[name].amounts)
    fitted_to = [(reduced_formula(crystal), crystal.space_group) for crystal in crystals]
    write(path, (types[name] for name in order), dict(enumerate(order)), fitted_to)
    return TypeFile(path), crystals


def test_a_file_gives_its_types_back(some_types):
    file, crystals = some_types
    assert len(file) == len(crystals) and file.sizes.tolist() == [1] * len(crystals)
    templates = {template.name: template for a in file.formulas for template in file.templates(a)}
    matcher = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5)
    for crystal in crystals:
        template = templates[f"{crystal.material_id} type"]
        atoms = template.atoms(template.lattice, template.symbols)
        assert matcher.fit(structure_of(atoms), crystal.structure)
        assert symmetry_of(atoms, "it", 1e-4).number == template.space_group
        assert template.formula == reduced_formula(crystal)
        assert file.is_fitted_to(reduced_formula(crystal), crystal.space_group)
    assert not file.is_fitted_to(reduced_formula("NaCl"), 1)
    assert file.templates((1, 98)) == []


def test_files_that_hold_no_types_are_one_clear_error(tmp_path):
    with pytest.raises(CrystalNetError) as error:
        TypeFile(tmp_path / "none")
    assert error.value.code is Code.FILE_MISSING
    (tmp_path / "it").write_bytes(b"structure types")
    with pytest.raises(CrystalNetError) as error:
        TypeFile(tmp_path / "it")
    assert error.value.code is Code.DAMAGED


def test_elements_that_filled_a_role_are_likely_in_it():
    """Of perovskites that hold strontium and barium in one role and titanium in the other."""
    types = [(str(pair), of(pair)) for pair in (("Sr", "Ti"), ("Ba", "Ti"), ("Ca", "Ti"), ("Ba", "Zr"))]
    (fitted,) = fitted_types(types)
    template = fitted.template()
    assert sorted(map(dict, template.roles.values()), key=len) == [
        {"O": 4}, {"Ti": 3, "Zr": 1}, {"Sr": 1, "Ba": 2, "Ca": 1}
    ]  # fmt: skip
    (best, filling), (second, _) = Knowledge.of_formula("BaTiO3").fillings(template)
    role = {symbol: min(counts) for symbol, counts in template.roles.items()}  # Ba, O and Ti
    assert {role[old]: new for old, new in filling.items()} == {"Ba": "Ba", "Ti": "Ti", "O": "O"}
    assert best < second


def of(pair) -> Atoms:
    return Atoms.of(
        Structure.from_spacegroup(
            221, Lattice.cubic(4), [*pair, "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
        )
    )


# ------------------------------------------------------------------ the package's own


def test_the_package_s_types_are_small_and_quickly_there():
    assert FILE.stat().st_size < 8e6
    started = time.perf_counter()
    file = TypeFile(FILE)
    assert len(file.templates((1, 1, 3))) > 50 and len(file) > 5000
    assert time.perf_counter() - started < 2


def test_known_types_are_among_them_and_frequent():
    file = TypeFile(FILE)
    assert set(MINERALS) <= set(file.names.values())
    (salt,) = (template for template in file.templates((1, 1)) if template.name == "rock salt type")
    assert salt.n_compounds > 200 and salt.space_group == 225 and salt.freedom.shape[2] == 0


def test_the_package_s_templates_have_their_symmetry():
    file = TypeFile(FILE)
    rng = np.random.default_rng(0)
    some = [file.formulas[place] for place in rng.choice(len(file.formulas), 40, replace=False)]
    templates = [template for amounts in some for template in file.templates(amounts)[:2]]
    right = Counter()
    for template in templates:
        atoms = template.atoms(template.lattice, template.symbols)
        assert len(template.symbols) == len(np.unique(np.round(atoms.frac_coords, 3) % 1, axis=0))
        assert template.amounts in some and set(template.roles) == set(template.counts)
        right[symmetry_of(atoms, template.name, 1e-3).number == template.space_group] += 1
    assert right[True] > 0.95 * len(templates)  # means of distorted crystals may be undistorted


def test_the_embedded_catalogue_withholds():
    catalogue, knowledge = embedded(), Knowledge.of_formula("SrTiO3")
    templates = list(catalogue.templates(knowledge, "cubic"))
    kind = next(template for template in templates if template.space_group == 221).type
    rest = list(catalogue.without(lambda other: other.type == kind).templates(knowledge, "cubic"))
    assert rest and len(rest) < len(templates) and all(template.type != kind for template in rest)


def test_no_test_crystal_is_among_those_that_types_are_fitted_to(shared_data):
    file = TypeFile(FILE)
    folder = shared_data / "data" / "structures"
    seen = Counter()
    for name in ("paper_split", "seven_systems", "large_cells"):
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
            for row in map(json.loads, lines):
                groups = {row["spacegroup"], row.get("spacegroup_loose") or row["spacegroup"]}
                fitted = any(file.is_fitted_to(reduced_formula(row["formula"]), group) for group in groups)
                seen[row["split"].split("_")[0], fitted] += 1
    assert seen["test", False] > 9000 and seen["val", False] > 3000
    assert not seen["test", True] and not seen["val", True]
    assert seen["train", True] > 70000  # what is fitted to is known to be


@pytest.mark.parametrize(
    ("formula", "group", "lattice", "sites"),
    [
        (
            "Mg3Al2Si3O12",
            230,
            Lattice.cubic(11.459),
            {"Mg": (1 / 8, 0, 1 / 4), "Al": (0, 0, 0), "Si": (3 / 8, 0, 1 / 4), "O": (0.033, 0.0503, 0.6534)},
        ),
        (
            "ZrSiO4",
            141,
            Lattice.tetragonal(6.607, 5.982),
            {"Zr": (0, 0, 0), "Si": (0, 0, 1 / 2), "O": (0, -0.1839, 0.3203)},
        ),
        (
            "CaCO3",
            167,
            Lattice.hexagonal(4.99, 17.06),
            {"Ca": (0, 0, 0), "C": (0, 0, 1 / 4), "O": (0.2568, 0, 1 / 4)},
        ),
    ],
    ids=["garnet", "zircon", "calcite"],
)
def test_minerals_are_solved_from_exact_peaks(formula, group, lattice, sites):
    """Measured structures, of which the package holds means of other compounds as well."""
    truth = Structure.from_spacegroup(group, lattice, list(sites), list(sites.values()))
    assert truth.composition.reduced_composition == Composition(formula).reduced_composition
    observed = Observed.of_structure(Atoms.of(truth.get_primitive_structure()))
    answer = solve(observed, formula, sources=("analogues",), progress=False)
    assert StructureMatcher().fit(answer.structure, truth)
