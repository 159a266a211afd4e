// Codes drawn from a latent distribution, and the straight line between two of them (solving/sampling.py).
window.CrystalNet ??= {};
(() => {
  // Uniform numbers in (0, 1] of a seed: Tommy Ettinger's mulberry32.
  function uniform(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 1) / 2 ** 32;
    };
  }

  // n unit Gaussian numbers of a seed (Box & Muller 1958). torch draws others: sample 3 here is not sample 3
  // of the Lab's explorer, but each seed gives one sample, in every browser the same.
  function noise(seed, n) {
    const next = uniform(seed);
    return Float32Array.from({length: n}, () =>
      Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
  }

  const sample = ({mu, sigma}, seed, scale = 1) => {
    const epsilon = noise(seed, mu.length);
    return mu.map((value, i) => value + scale * epsilon[i] * sigma[i]);
  };

  function walk(latent, first, second, t, scale) {
    const start = sample(latent, first, scale), end = sample(latent, second, scale);
    return start.map((value, i) => value + t * (end[i] - value));
  }

  CrystalNet.sampling = {noise, sample, walk};
})();
