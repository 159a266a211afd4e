"""Known structure types whose cells are fitted to the whole profile: no peaks are found, none is indexed.

Any crystal system can be solved so, and weak peaks of something else do no harm. The search goes from cheap
to dear: every fitting type in its likeliest order of elements, in a cell of the usual volume, is strained
until its curve is the measured one; the best are refined with their free coordinates.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from crystalnet.data.crystals import crystal_system_of
from crystalnet.lattice.curves import Lines
from crystalnet.lattice.volumes import usual_volume
from crystalnet.lattice.whole_profile import Fit, fitted
from crystalnet.patterns.profile import Profile
from crystalnet.physics.tables import form_factor
from crystalnet.solving.candidates import Candidate, priced
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.frames import Frames, reflections
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.refinement import STAGES, Trial, refine
from crystalnet.solving.relatives import HYDROGEN
from crystalnet.solving.shared_roles import Filled, sharing
from crystalnet.solving.templates import FAMILIES, Template

ORIGIN = "profile"
SCREENED = 160  # templates, those of the most alike elements; our choice
SHARED = 32  # of these, at most, in which two elements share a role, our choice
OF_A_TYPE = 4  # templates of one structure type, our choice
REFINED = 12  # our choice
ALIKE = 2  # of these of one type and order of elements, our choice
MOST_ATOMS = 160  # in a primitive cell, our choice
MOST_LINES = 600  # reflections of a structure, the strongest; our choice
BEYOND = 1.06  # of the highest s: so much longer may axes become, and bring more reflections in
THERMAL = 0.6  # Å^2, B of all atoms while cells are fitted, our choice: what minerals show
WEAK = 1e-4  # of the strongest reflection, our choice: weaker ones are left out


def from_profile(
    profile: Profile,
    frames: Frames,
    knowledge: Knowledge,
    catalogue: Catalogue,
    *,
    system: str | None = None,
    seed: int = 0,
) -> list[Candidate]:
    """Candidates of any crystal system, best first; none where elements are missing.

    Args:
        profile: the measurement's.
        frames: of the same measurement.
        system: crystal system, where it is known.
        seed: of the strains that are tried first.
    """
    fillings = filled(knowledge, catalogue, system)
    trials = [usual(one) for one in fillings]
    lines = [lines_of(trial, profile) for trial in trials]
    fits = fitted(profile, lines, seed=seed)
    rank = {place: _price(fit, trials[place], frames) for place, fit in fits.items()}
    candidates, seen = [], Counter()
    for place in sorted(rank, key=lambda place: rank[place]):
        trial = trials[place]
        roles = tuple(sorted(set(zip(trial.template.wyckoffs, trial.symbols, strict=True))))
        seen[trial.template.key, roles] += 1
        if seen[trial.template.key, roles] > ALIKE:
            continue
        lattice = lines[place].strained(trial.lattice, fits[place].strain)
        height = fits[place].height
        trial = Trial(trial.template, lattice, trial.symbols, trial.frac_coords, THERMAL, height)
        trial = refine(trial, frames, STAGES, lattice=True, thermal=True)
        n_absent = fillings[place].n_absent
        origin = f"{ORIGIN} of {trial.template.name}{' without hydrogen' if n_absent else ''}"
        candidates.append(Candidate.of(trial, origin, frames, n_absent=n_absent))
        if len(candidates) == REFINED:
            break
    return sorted(candidates, key=lambda candidate: candidate.score)


def lines_of(trial: Trial, profile: Profile) -> Lines:
    """The reflections of a structure that a profile may show.

    >>> from crystalnet.patterns.peaks import fit_peaks
    >>> from crystalnet.patterns.simulation import simulated
    >>> from crystalnet.solving.ranking import structure_of
    >>> from crystalnet.solving.sources import embedded
    >>> trial = usual(filled(Knowledge.of("MgAl2O4"), embedded(), "cubic")[0])
    >>> profile = Profile.of(fit_peaks(simulated(structure_of(trial.atoms), "CuKa1", (10, 60))))
    >>> lines = lines_of(trial, profile)
    >>> (0.5 / np.sqrt(lines.squares.min())).round(1)  # Å, of 111
    np.float64(4.8)
    """
    lattice = np.ascontiguousarray(trial.lattice)
    hkl, multiplicity = reflections(
        *trial.template.reflection_group, lattice.tobytes(), BEYOND * profile.high
    )
    vectors = hkl @ np.linalg.inv(lattice).T
    s = np.linalg.norm(vectors, axis=1) / 2
    amplitude = np.zeros(len(hkl), complex)
    symbols = np.array(trial.symbols)
    for symbol in dict.fromkeys(trial.symbols):
        phases = hkl @ trial.frac_coords[symbols == symbol].T
        amplitude += form_factor(symbol).at(s) * np.exp(2j * np.pi * phases).sum(1)
    intensity = multiplicity * np.abs(amplitude) ** 2 * np.exp(-2 * THERMAL * s**2)
    strong = intensity > WEAK * intensity.max(initial=0)
    return Lines.of(vectors[strong], intensity[strong], trial.template.strains, MOST_LINES, profile)


def filled(knowledge: Knowledge, catalogue: Catalogue, system: str | None) -> list[Filled]:
    """Templates with the sample's elements in their likeliest order, the most alike ones; after those of its
    formula come those in which two elements share a role, and those without hydrogen."""
    if knowledge.n_hidden != 0:
        return []
    family = FAMILIES.get(system)
    own = [_likeliest(knowledge, template) for template in catalogue.templates(knowledge, family)]
    shared = _few(sharing(knowledge, catalogue, family), system)[:SHARED]
    unseen = _few(without_hydrogen(knowledge, catalogue, family), system)[:SHARED]
    others = [*shared, *unseen]
    return [*_few(own, system)[: SCREENED - len(others)], *others]


def without_hydrogen(knowledge: Knowledge, catalogue: Catalogue, family: str | None) -> Iterator[Filled]:
    """Templates of what the formula is without hydrogen: that has no place in them.

    >>> from crystalnet.solving.sources import embedded
    >>> portlandite = without_hydrogen(Knowledge.of("Ca(OH)2"), embedded(), "cubic")
    >>> {one.n_absent // one.symbols.count("Ca") for one in portlandite}
    {2}
    """
    if (bare := knowledge.bare) is None:
        return
    formula = knowledge.formula
    heavy = sum(formula.values()) - formula[HYDROGEN]
    for template in catalogue.templates(bare, family):
        units, rest = divmod(len(template.symbols), heavy)
        if not rest:
            yield _likeliest(bare, template)._replace(n_absent=units * formula[HYDROGEN])


def _likeliest(knowledge: Knowledge, template: Template) -> Filled:
    unlike, roles = knowledge.fillings(template)[0]
    return Filled(unlike, template, tuple(roles[old] for old in template.symbols.tolist()))


def _few(of_all: Iterable[Filled], system: str | None) -> list[Filled]:
    """Some of each type, in a crystal system if given, the most alike first."""
    groups: dict[tuple, list[Filled]] = defaultdict(list)
    for one in of_all:
        fits = system in (None, crystal_system_of(one.template.space_group))
        if fits and len(one.symbols) <= MOST_ATOMS:
            groups[one.template.key].append(one)
    kept = [one for group in groups.values() for one in sorted(group, key=_unlike)[:OF_A_TYPE]]
    return sorted(kept, key=_unlike)


def _unlike(one: Filled) -> float:
    return one.unlike


def usual(filled: Filled) -> Trial:
    """In a cell of the template's shape; its volume is changed as that of the elements usually is.

    >>> from crystalnet.solving.sources import embedded
    >>> spinel = filled(Knowledge.of("MgAl2O4"), embedded(), "cubic")[0]
    >>> spinel.template.name, usual(spinel).lattice[0, 0].round(1)  # Å; 8.1 was measured
    ('spinel type', np.float64(8.4))
    """
    template = filled.template
    scale = (usual_volume(Counter(filled.symbols)) / usual_volume(typical(template))) ** (1 / 3)
    return Trial(template, scale * template.lattice, filled.symbols, template.frac_coords)


def typical(template: Template) -> dict[str, float]:
    """Atoms of each element in the primitive cell, the mean of the template's compounds.

    >>> from crystalnet.solving.sources import embedded
    >>> olivine = next(one for one in embedded().templates(Knowledge.of("Mg2SiO4")) if one.space_group == 62)
    >>> round(sum(typical(olivine).values()))
    28
    """
    amounts: Counter[str] = Counter()
    for role, n in template.counts.items():
        total = sum(template.roles[role].values())
        for element, compounds in template.roles[role].items():
            amounts[element] += n * compounds / total
    return dict(amounts)


def _price(fit: Fit, trial: Trial, frames: Frames) -> float:
    """What refinement would have to gain: half of its parameters are paid for before."""
    return priced(fit.distance, trial.n_parameters // 2, frames.observed.n_told)
