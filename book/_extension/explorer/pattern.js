// The powder peaks of a density at a known lattice (see physics/density_pattern.py).
window.CrystalNet ??= {};
(() => {
  const WAVELENGTH = 0.71073; // Å, Mo K-alpha, as MO_K_ALPHA there
  const TOLERANCE = 1e-5; // degrees: reflections nearer than this are one peak
  const WEAKEST = 1e-5; // of the highest peak: weaker ones are dropped

  function inverse([a, b, c]) { // of a matrix given by its rows
    const cross = (u, v) => [0, 1, 2].map((i) => u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3]);
    const columns = [cross(b, c), cross(c, a), cross(a, b)];
    const volume = a[0] * columns[0][0] + a[1] * columns[0][1] + a[2] * columns[0][2];
    return [0, 1, 2].map((i) => columns.map((column) => column[i] / volume));
  }

  // Peaks by rising angle, the highest intensity 100. density (n, n, n); lattice: three rows in Å.
  function densityPeaks(density, n, lattice) {
    const inv = inverse(lattice), reach = (n - 1) >> 1;
    const waves = cube(reach), squares = CrystalNet.waves.squaredAmplitudes(waves, density, n);
    const rings = new Map(); // multiple of the tolerance -> smallest |g| and sum of |F|^2
    squares.forEach((square, w) => {
      const hkl = waves.h.subarray(3 * w, 3 * w + 3);
      const g = Math.hypot(...inv.map((row) => row[0] * hkl[0] + row[1] * hkl[1] + row[2] * hkl[2]));
      if (g * WAVELENGTH / 2 >= 1) return;
      const key = Math.round(2 * Math.asin(g * WAVELENGTH / 2) * 180 / Math.PI / TOLERANCE), ring = rings.get(key);
      if (ring) {
        ring.g = Math.min(ring.g, g);
        ring.square += square;
      } else rings.set(key, {g, square});
    });
    const peaks = [...rings].sort(([a], [b]) => a - b).map(([, {g, square}]) => {
      const twoTheta = 2 * Math.asin(g * WAVELENGTH / 2) * 180 / Math.PI;
      return {twoTheta, intensity: square * CrystalNet.profile.lorentzPolarisation(twoTheta), d: 1 / g};
    });
    const highest = peaks.reduce((most, {intensity}) => Math.max(most, intensity), 0);
    return peaks.filter(({intensity}) => intensity > WEAKEST * highest)
      .map((peak) => ({...peak, intensity: 100 * peak.intensity / highest}));
  }

  // Half of all h with no index beyond `radius`: a Friedel pair scatters alike, and only ratios matter.
  const cubes = new Map();
  function cube(radius) {
    if (!cubes.has(radius)) {
      const h = [];
      for (let i = -radius; i <= radius; i++) for (let j = -radius; j <= radius; j++) for (let l = 0; l <= radius; l++) {
        if (l > 0 || j > 0 || (j === 0 && i > 0)) h.push(i, j, l);
      }
      cubes.set(radius, {radius, h: Int8Array.from(h)});
    }
    return cubes.get(radius);
  }

  CrystalNet.pattern = {densityPeaks};
})();
