"""Challenges: crystals whose structure is known are solved from patterns that say less and less.

A challenge says what the solver is given: how the pattern was spoilt, what is known of the composition, what
is withheld from the catalogue. `attempts` has what comes of it.

>>> from crystalnet.data.prototypes import prototype_crystals
>>> crystals = prototype_crystals("cubic", 3)
>>> exact = challenge_of("exact")
>>> is_impostor("exact"), known(crystals[0], "no_formula").elements, known(crystals[0], "full").is_complete
(False, (), True)
>>> observation(crystals[0], exact).ideal, view(crystals[0], exact, "profiles").shape
(True, (768,))
>>> catalogue = Catalogue(crystals)
>>> len(remaining(crystals[0], "type", catalogue)) < len(catalogue), another(crystals[0], exact, catalogue)
(True, None)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from crystalnet.data.crystals import Crystal
from crystalnet.data.leakage import reduced_formula, swaps
from crystalnet.data.prototypes import library_crystals
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed, lp_factor
from crystalnet.patterns.peaks import observed as peaks_of
from crystalnet.patterns.simulation import simulated
from crystalnet.physics.diffraction import MO_K_ALPHA, N_BINS, binned_pattern
from crystalnet.physics.profiles import N_LOG_BINS, log_profile
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.knowledge import UNNAMED, Knowledge
from crystalnet.solving.sources import INDEXED, SOURCES, embedded
from crystalnet.solving.templates import Template

CU_K_ALPHA = 1.5406  # Å


@dataclass(frozen=True)
class Challenge:
    """What a solver is given.

    Attributes:
        pattern: 'exact' peaks; 'errors', on every intensity, and peaks below 1 % of the highest lost; or
            'laboratory', a simulated measurement, see two_theta, crystallite_nm and counts.
        error: standard deviation of the 'errors', relative.
        two_theta: range in degrees, Cu K-alpha, of laboratory patterns.
        crystallite_nm: size of the crystallites, which broadens peaks.
        counts: of the highest peak, which sets the noise.
        composition: 'full', 'no_ratios', 'drop_element' (no ratios either, as in the paper), 'no_formula'.
        withheld: from the catalogue: 'nothing', 'type' (amounts, space group and size of the crystal), 'swap
            neighbours' (formulas that differ in one element), or 'training crystals', all of them: the
            structure types that come with the package stay.
        sources: of candidates, asked in turn until one explains the pattern.
        impostor: what is given in the place of the crystal's own pattern or formula, so that no answer is
            right: 'formula', of another crystal; 'phases', the pattern of a mixture with another;
            'system', a pattern of an embedded crystal of another system; 'noise', peaks at random.
            Empty for none.
    """

    pattern: str = "exact"
    error: float = 0.05
    two_theta: tuple[float, float] = (10.0, 120.0)
    crystallite_nm: float = 200.0
    counts: float = 1e4
    composition: str = "full"
    withheld: str = "nothing"
    sources: tuple[str, ...] = SOURCES
    impostor: str = ""


ANALOGUES = ("analogues",)
CHALLENGES = {
    "exact": Challenge(),
    "intensity errors": Challenge(pattern="errors", sources=ANALOGUES),
    "large intensity errors": Challenge(pattern="errors", error=0.2, sources=ANALOGUES),
    "no ratios": Challenge(composition="no_ratios"),
    "an element missing": Challenge(composition="drop_element"),
    "no composition": Challenge(composition="no_formula"),
    "no swap neighbour": Challenge(withheld="swap neighbours"),
    "embedded types": Challenge(withheld="training crystals"),
    "type withheld": Challenge(withheld="type"),
    "type withheld, analogues": Challenge(withheld="type", sources=ANALOGUES),
    "type withheld, network": Challenge(withheld="type", sources=("network",)),
    "type withheld, phasing from the network": Challenge(withheld="type", sources=("seeded",)),
    "type withheld, phasing from random starts": Challenge(withheld="type", sources=("random",)),
    "laboratory, to 120 degrees": Challenge("laboratory", sources=ANALOGUES),
    "laboratory, to 90 degrees": Challenge("laboratory", two_theta=(10.0, 90.0), sources=ANALOGUES),
    "laboratory, to 50 degrees": Challenge("laboratory", two_theta=(10.0, 50.0), sources=ANALOGUES),
    "laboratory, 20 nm": Challenge("laboratory", crystallite_nm=20.0, sources=ANALOGUES),
    "laboratory, 5 nm": Challenge("laboratory", crystallite_nm=5.0, sources=ANALOGUES),
    "laboratory, 300 counts": Challenge("laboratory", counts=300.0, sources=ANALOGUES),
    "wrong formula": Challenge("laboratory", sources=ANALOGUES, impostor="formula"),
    "two phases": Challenge("laboratory", sources=ANALOGUES, impostor="phases"),
    "wrong system": Challenge("laboratory", sources=ANALOGUES, impostor="system"),
    "noise": Challenge(sources=ANALOGUES, impostor="noise"),
}
"""By name, those of chapter 9."""


def challenge_of(name: str) -> Challenge:
    """The challenge of a name.

    Raises:
        CrystalNetError: there is none; names those there are.
    """
    if name not in CHALLENGES:
        raise CrystalNetError(
            f"There is no challenge {name!r}. Choose among: {'; '.join(CHALLENGES)}.", Code.BAD_ARGUMENT
        )
    return CHALLENGES[name]


def is_impostor(name: str) -> bool:
    """Whether no answer to a challenge is right."""
    return bool(challenge_of(name).impostor)


def observation(crystal: Crystal, challenge: Challenge, other: Crystal | None = None) -> Observed:
    """The crystal's pattern as the challenge has it; the same for the same crystal.

    Args:
        other: takes part in the pattern of an impostor.

    Raises:
        CrystalNetError: no peaks stand out of a laboratory pattern.
    """
    rng = np.random.default_rng(_seed(crystal, challenge))
    exact = Observed.of_structure(crystal.symmetrized)
    if challenge.impostor == "noise":  # as many peaks as there were, up to the same angle
        s = np.sort(rng.uniform(exact.s[0], 0.6, min(len(exact.s), 40)))
        return Observed(s, rng.exponential(size=len(s)), exact.low, 0.6, weakest=0.01)
    if challenge.pattern == "exact":
        return exact
    if challenge.pattern == "errors":
        intensity = exact.intensity * np.maximum(
            1 + challenge.error * rng.standard_normal(len(exact.s)), 0.01
        )
        high = intensity * lp_factor(exact.s, exact.wavelength)
        strong = high > 0.01 * high.max()
        return replace(exact, s=exact.s[strong], intensity=intensity[strong], weakest=0.01)
    seen = [crystal, other] if challenge.impostor == "phases" else [crystal]
    seen = [other] if challenge.impostor == "system" else seen
    parts = [
        simulated(
            one.symmetrized,
            CU_K_ALPHA,
            challenge.two_theta,
            crystallite_nm=challenge.crystallite_nm,
            counts=challenge.counts,
            seed=int(rng.integers(2**31)),
        )
        for one in seen
    ]
    together = replace(parts[0], counts=sum(part.counts for part in parts), sigma=None)
    return peaks_of(together, CU_K_ALPHA, k_alpha_2=False)


def view(crystal: Crystal, challenge: Challenge, reads: str) -> np.ndarray:
    """What a network is shown of the crystal: its profile (768,) or pattern (1024,) under the challenge.

    All zeros where no peak stands out, or none that the network's axis reaches.

    Args:
        reads: 'profiles' or 'patterns', as the network says.
    """
    axis, size = {"profiles": (log_profile, N_LOG_BINS), "patterns": (binned_pattern, N_BINS)}[reads]
    try:
        return axis(replace(observation(crystal, challenge), wavelength=MO_K_ALPHA).peaks)
    except CrystalNetError:
        return np.zeros(size, np.float32)


def _seed(crystal: Crystal, challenge: Challenge) -> int:
    digest = hashlib.sha256(f"{crystal.material_id} {challenge}".encode()).digest()
    return int.from_bytes(digest[:4])


def another(crystal: Crystal, challenge: Challenge, catalogue: Catalogue) -> Crystal | None:
    """Another crystal, for an impostor: of another formula, or of another crystal system."""
    rng = np.random.default_rng(_seed(crystal, challenge))
    if challenge.impostor == "system":
        lower = [one for one in library_crystals() if one.crystal_system not in INDEXED]
        return lower[rng.integers(len(lower))]
    if challenge.impostor in ("formula", "phases"):
        templates = [
            one for one in catalogue.templates() if one.counts.keys() != set(crystal.atoms.symbols.tolist())
        ]
        chosen_one = templates[rng.integers(len(templates))]
        atoms = chosen_one.atoms(chosen_one.lattice, chosen_one.symbols)
        return replace(crystal, material_id=chosen_one.name, atoms=atoms, space_group=chosen_one.space_group)
    return None


def known(crystal: Crystal, composition: str) -> Knowledge:
    """What a challenge tells of a crystal's composition."""
    full = Knowledge.of_formula(crystal.composition)
    if composition == "full":
        return full
    if composition == "no_formula":
        return Knowledge.nothing()
    elements = sorted(full.elements)
    if composition == "no_ratios" or len(elements) == 1:
        return Knowledge.of_elements(elements)
    digest = hashlib.sha256(crystal.material_id.encode()).digest()
    elements[int.from_bytes(digest[:8]) % len(elements)] = UNNAMED
    return Knowledge.of_elements(elements)


def remaining(crystal: Crystal, withheld: str, catalogue: Catalogue) -> Catalogue:
    """The catalogue without what a challenge withholds."""
    if withheld == "nothing":
        return catalogue
    if withheld == "training crystals":
        return embedded()
    if withheld == "type":
        template = Template.of(crystal.atoms, crystal.material_id)
        return catalogue.without(lambda other: other.type == template.type)
    places = set(swaps(reduced_formula(crystal)))
    return catalogue.without(lambda other: bool(places.intersection(swaps(other.formula))))
