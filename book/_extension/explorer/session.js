// What the explorer knows, without a page: a crystal or the reader's own input, and the density at each code.
window.CrystalNet ??= {};
(() => {
  const N_SAMPLES = 5; // whose agreement tells the confidence, as in DensityNetwork.expected_similarity

  class Session {
    static async opened({weights, crystals}) {
      const [network, shown] = await Promise.all([weights, crystals].map(CrystalNet.opened));
      return new Session(network, shown);
    }

    constructor(network, shown) {
      const {crystals, ...facts} = shown.metadata;
      this.n = shown.tensors.truth.shape[1]; // voxels an axis
      this.facts = facts; // symbols, confident, example, colours
      this.confidence = network.metadata.confidence;
      this.model = new CrystalNet.SpectralModel(network.tensors, network.metadata.model, shown.tensors.properties);
      const row = (name, i) => {
        const {data, shape: [rows]} = shown.tensors[name], size = data.length / rows;
        return data.subarray(i * size, (i + 1) * size);
      };
      this.crystals = crystals.map((crystal, i) => ({
        ...crystal, ...Object.fromEntries(["profile", "composition", "truth"].map((name) => [name, row(name, i)])),
      }));
    }

    // Take a crystal of the gallery, by its number.
    choose(i) {
      this._take(this.crystals[i]);
    }

    // Take the reader's own formula and list of peaks. Throws a Mistake that says what is wrong.
    own(formula, peaks, wavelength) {
      const {composition, profile} = CrystalNet;
      this._take({
        formula,
        composition: composition.fractions(formula, this.facts.symbols),
        profile: profile.logProfile(profile.parsedPeaks(peaks, wavelength)),
      });
    }

    // The density (n, n, n) at a place of the line between two samples, and what is known of it:
    // similarity, periodic SSIM with the truth as they lie; profile, of its own peaks. Undefined where not known.
    at(first, second, t, noise) {
      const {truth, lattice} = this.subject;
      const density = this.model.density(CrystalNet.sampling.walk(this.latent, first, second, t, noise), this.n);
      const {ssim, range} = CrystalNet.similarity;
      return {density, similarity: truth && ssim(truth, density, this.n, range(truth)), profile: this._profile(density, lattice)};
    }

    _take(subject) {
      const latent = this.model.latent(subject.profile, subject.composition);
      const answer = this.model.density(latent.mu, this.n), {agreement, expected} = CrystalNet.similarity;
      const samples = Array.from({length: N_SAMPLES}, (_, seed) =>
        this.model.density(CrystalNet.sampling.sample(latent, seed), this.n));
      const agreed = agreement(answer, samples, this.n);
      Object.assign(this, {
        subject, latent, answer, agreement: agreed, expected: expected(this.confidence, agreed),
        truthProfile: subject.truth && this._profile(subject.truth, subject.lattice),
      });
    }

    _profile(density, lattice) {
      if (!lattice) return undefined;
      const peaks = CrystalNet.pattern.densityPeaks(density, this.n, lattice);
      return peaks.length ? CrystalNet.profile.logProfile(peaks) : undefined; // an empty density scatters nothing
    }
  }

  CrystalNet.Session = Session;
})();
