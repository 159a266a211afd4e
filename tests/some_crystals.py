"""A few small crystals of all seven systems, in three sets, for tests of the data path."""

from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import Crystal

N = 14
LATTICES = {
    "triclinic": (Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107), 1),
    "monoclinic": (Lattice.monoclinic(4.1, 5.2, 6.3, 100), 3),
    "orthorhombic": (Lattice.orthorhombic(4.1, 5.2, 6.3), 16),
    "tetragonal": (Lattice.tetragonal(4.1, 6.3), 75),
    "trigonal": (Lattice.rhombohedral(5.2, 70), 146),
    "hexagonal": (Lattice.hexagonal(4.1, 6.3), 168),
    "cubic": (Lattice.cubic(4.1), 195),
}


def crystal(crystal_system: str = "cubic", species=("Cs", "Cl"), **facts) -> Crystal:
    lattice, space_group = LATTICES[crystal_system]
    structure = Structure(lattice, species, [[0, 0, 0], [0.5, 0.5, 0.48]])
    name = f"{crystal_system} {''.join(species)}"
    return Crystal(name, structure, space_group, crystal_system, **facts)


def rock_salt(cation: str, anion: str, a: float, material_id: str = "") -> Crystal:
    fcc = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    structure = Structure(fcc, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return Crystal(material_id or cation + anion, structure, 225, "cubic")


SPLITS = {
    "train": [crystal(system) for system in LATTICES],
    "val": [crystal(species=("Na", "Cl"), stable=False)],
    "test": [crystal(species=("Fe", "Al"), structure_type="B2", source="a test", split="test")],
}
CRYSTALS = [crystal for crystals in SPLITS.values() for crystal in crystals]
