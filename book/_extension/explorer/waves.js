// Plane waves of the cell: a function from its coefficients on a grid, and back (see model/plane_waves.py).
// The three axes are summed one after the other, which takes n^3 (2 radius + 1) steps instead of n^3 M.
window.CrystalNet ??= {};
(() => {
  // One h of each +- pair, shortest first: {radius, h: Int8Array of (M, 3)}.
  function planeWaves(radius) {
    const all = [];
    for (let h = -radius; h <= radius; h++) for (let k = -radius; k <= radius; k++) for (let l = 0; l <= radius; l++) {
      const half = l > 0 || k > 0 || (k === 0 && h > 0), square = h * h + k * k + l * l;
      if (half && square <= radius * radius) all.push({hkl: [h, k, l], square});
    }
    all.sort((a, b) => a.square - b.square); // stable, as torch's argsort there
    return {radius, h: Int8Array.from(all.flatMap(({hkl}) => hkl))};
  }

  function circle(n) { // cosine and sine of the multiples of 2 pi / n
    const angles = Float64Array.from({length: n}, (_, i) => 2 * Math.PI * i / n);
    return [angles.map(Math.cos), angles.map(Math.sin)];
  }

  const modulo = (i, n) => ((i % n) + n) % n;

  // Coefficients (1 + 2 M) to the function (n, n, n) at coordinates i / n.
  function onGrid({radius, h}, coefficients, n) {
    const [cos, sin] = circle(n), m = h.length / 3, side = 2 * radius + 1;
    const lineR = new Float64Array(side * side * n), lineI = new Float64Array(side * side * n);
    for (let w = 0; w < m; w++) {
      const a = coefficients[1 + w], b = coefficients[1 + m + w];
      const from = ((h[3 * w] + radius) * side + h[3 * w + 1] + radius) * n;
      for (let z = 0; z < n; z++) {
        const at = (h[3 * w + 2] * z) % n;
        lineR[from + z] += a * cos[at] - b * sin[at];
        lineI[from + z] += a * sin[at] + b * cos[at];
      }
    }
    const planeR = new Float64Array(side * n * n), planeI = new Float64Array(side * n * n);
    for (let p = 0; p < side; p++) for (let q = 0; q < side; q++) {
      if ((p - radius) ** 2 + (q - radius) ** 2 > radius * radius) continue;
      const from = (p * side + q) * n;
      for (let y = 0; y < n; y++) {
        const at = modulo((q - radius) * y, n), c = cos[at], s = sin[at], to = (p * n + y) * n;
        for (let z = 0; z < n; z++) {
          planeR[to + z] += lineR[from + z] * c - lineI[from + z] * s;
          planeI[to + z] += lineR[from + z] * s + lineI[from + z] * c;
        }
      }
    }
    const result = new Float32Array(n * n * n), sum = new Float64Array(n * n);
    for (let x = 0; x < n; x++) { // the sum is real: of the last axis no more is needed
      sum.fill(0);
      for (let p = 0; p < side; p++) {
        const at = modulo((p - radius) * x, n), c = cos[at], s = sin[at], from = p * n * n;
        for (let i = 0; i < n * n; i++) sum[i] += planeR[from + i] * c - planeI[from + i] * s;
      }
      for (let i = 0; i < n * n; i++) result[x * n * n + i] = coefficients[0] + Math.SQRT2 * sum[i];
    }
    return result;
  }

  // |sum_x f exp(2 pi i h x)|^2 of a function (n, n, n) for each h of `planeWaves(radius)`, n > 2 radius.
  function squaredAmplitudes({radius, h}, values, n) {
    const [cos, sin] = circle(n), side = 2 * radius + 1, half = radius + 1;
    // z to l, then y to k, then x to h alone for the waves that are asked for
    const lineR = new Float64Array(n * n * half), lineI = new Float64Array(n * n * half);
    for (let xy = 0; xy < n * n; xy++) for (let l = 0; l < half; l++) {
      let re = 0, im = 0;
      for (let z = 0; z < n; z++) {
        const value = values[xy * n + z], at = (l * z) % n;
        re += value * cos[at];
        im += value * sin[at];
      }
      lineR[xy * half + l] = re;
      lineI[xy * half + l] = im;
    }
    const planeR = new Float64Array(side * half * n), planeI = new Float64Array(side * half * n);
    for (let x = 0; x < n; x++) for (let y = 0; y < n; y++) for (let q = 0; q < side; q++) {
      const at = modulo((q - radius) * y, n), c = cos[at], s = sin[at], from = (x * n + y) * half;
      for (let l = 0; l < half; l++) {
        const to = (q * half + l) * n + x;
        planeR[to] += lineR[from + l] * c - lineI[from + l] * s;
        planeI[to] += lineR[from + l] * s + lineI[from + l] * c;
      }
    }
    const squares = new Float64Array(h.length / 3);
    for (let w = 0; w < squares.length; w++) {
      const from = ((h[3 * w + 1] + radius) * half + h[3 * w + 2]) * n;
      let re = 0, im = 0;
      for (let x = 0; x < n; x++) {
        const at = modulo(h[3 * w] * x, n);
        re += planeR[from + x] * cos[at] - planeI[from + x] * sin[at];
        im += planeR[from + x] * sin[at] + planeI[from + x] * cos[at];
      }
      squares[w] = re * re + im * im;
    }
    return squares;
  }

  CrystalNet.waves = {planeWaves, onGrid, squaredAmplitudes};
})();
