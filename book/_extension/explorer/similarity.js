// Periodic structural similarity of two densities (n, n, n), as physics/similarity.py computes it; and what
// the samples' agreement with an answer says of the answer (model/confidence.py).
window.CrystalNet ??= {};
(() => {
  const WINDOW = 7, C1 = 0.01 ** 2, C2 = 0.03 ** 2, BESSEL = WINDOW ** 3 / (WINDOW ** 3 - 1);

  // Mean over the 7^3 voxels around each, the cell repeated on all sides.
  function windowMean(values, n) {
    let from = values;
    for (const step of [n * n, n, 1]) {
      const to = new Float64Array(from.length);
      for (let i = 0; i < from.length; i++) {
        const along = Math.floor(i / step) % n, line = i - along * step;
        let sum = 0;
        for (let k = n - 3; k <= n + 3; k++) sum += from[line + ((along + k) % n) * step];
        to[i] = sum / WINDOW;
      }
      from = to;
    }
    return from;
  }

  const range = (values) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return high - low;
  };

  function ssim(a, b, n, dataRange) {
    const x = Float64Array.from(a, (value) => value / dataRange), y = Float64Array.from(b, (value) => value / dataRange);
    const meanX = windowMean(x, n), meanY = windowMean(y, n), meanXY = windowMean(x.map((v, i) => v * y[i]), n);
    const meanXX = windowMean(x.map((v) => v * v), n), meanYY = windowMean(y.map((v) => v * v), n);
    let sum = 0;
    for (let i = 0; i < x.length; i++) {
      const product = meanX[i] * meanY[i], squares = meanX[i] ** 2 + meanY[i] ** 2;
      const covariance = (meanXY[i] - product) * BESSEL, variances = (meanXX[i] + meanYY[i] - squares) * BESSEL;
      sum += (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2));
    }
    return sum / x.length;
  }

  function agreement(answer, samples, n) {
    const dataRange = range(answer);
    if (!(dataRange > 0)) return 0;
    return samples.reduce((sum, sample) => sum + ssim(answer, sample, n, dataRange), 0) / samples.length;
  }

  // Straight lines between the corners of {agreement, ssim}, level beyond their ends.
  function expected({agreement: xs, ssim: ys}, x) {
    const next = xs.findIndex((corner) => corner > x);
    if (next === 0) return ys[0];
    if (next < 0) return ys.at(-1);
    return ys[next - 1] + (ys[next] - ys[next - 1]) * (x - xs[next - 1]) / (xs[next] - xs[next - 1]);
  }

  CrystalNet.similarity = {ssim, range, agreement, expected};
})();
