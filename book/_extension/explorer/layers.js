// The layers that the network is made of, as torch.nn defines them: float32 between layers, float64 within.
window.CrystalNet ??= {};
(() => {
  // x @ weight^T + bias. `rows` of x begin every `step` numbers and may overlap: a convolution is that.
  function linear(x, weight, bias, rows = 1, step = 0) {
    const [nOut, nIn] = weight.shape, w = weight.data, y = new Float32Array(rows * nOut);
    for (let r = 0; r < rows; r++) {
      const from = r * step;
      for (let o = 0; o < nOut; o++) {
        const row = o * nIn;
        let a = bias ? bias.data[o] : 0, b = 0; // two sums: the processor adds them side by side
        let i = 0;
        for (; i + 1 < nIn; i += 2) {
          a += w[row + i] * x[from + i];
          b += w[row + i + 1] * x[from + i + 1];
        }
        if (i < nIn) a += w[row + i] * x[from + i];
        y[r * nOut + o] = a + b;
      }
    }
    return y;
  }

  function layerNorm(x, weight, bias) {
    const n = weight.data.length, y = new Float32Array(x.length);
    for (let from = 0; from < x.length; from += n) {
      let sum = 0, squares = 0;
      for (let i = 0; i < n; i++) sum += x[from + i];
      const mean = sum / n;
      for (let i = 0; i < n; i++) squares += (x[from + i] - mean) ** 2;
      const scale = 1 / Math.sqrt(squares / n + 1e-5); // torch's own epsilon
      for (let i = 0; i < n; i++) y[from + i] = (x[from + i] - mean) * scale * weight.data[i] + bias.data[i];
    }
    return y;
  }

  // erf x = 2 / sqrt(pi) exp(-x^2) sum_k 2^k x^(2k+1) / (2k+1)!!, all of one sign (Abramowitz & Stegun 7.1.6)
  function erf(x) {
    if (Math.abs(x) > 5) return Math.sign(x); // to 2e-12
    let term = x, sum = x;
    for (let k = 1; Math.abs(term) > 1e-10 * Math.abs(sum); k++) sum += term *= 2 * x * x / (2 * k + 1);
    return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
  }

  const gelu = (x) => x.map((value) => 0.5 * value * (1 + erf(value * Math.SQRT1_2)));

  CrystalNet.layers = {linear, layerNorm, gelu};
})();
