// The spectral network (model/spectral.py): profile and composition -> code -> density on a grid.
window.CrystalNet ??= {};
(() => {
  const {linear, layerNorm, gelu} = CrystalNet.layers;
  // windows of the pattern's trunk: place in it, size, stride, whether it adds to its input (PatternTrunk there)
  const WINDOWS = [[2, 16, 8, false], [3, 4, 2, false], [4, 3, 1, true], [5, 1, 1, false]];

  class SpectralModel {
    // tensors and settings of the weights' file; properties (118, P) of the elements
    constructor(tensors, settings, properties) {
      if (settings.field !== "spectral" || settings.reads !== "profiles" || settings.elements !== "properties"
          || !settings.use_composition) {
        throw new Error("The explorer runs spectral networks that read profiles, formula and element properties.");
      }
      Object.assign(this, {tensors, properties, nLatent: 2 * settings.width});
      this.waves = CrystalNet.waves.planeWaves(settings.radius);
    }

    features(composition) {
      return CrystalNet.composition.features(
        composition, this.properties, this.tensors["composition_encoder.trunk.0.spread"]);
    }

    // {mu, sigma}, (nLatent,) each, of a profile (768,) and atomic fractions (118,)
    latent(profile, composition) {
      const parts = [this._patternHead(profile), this._compositionHead(composition)];
      const half = this.nLatent / 2, mu = new Float32Array(2 * half), sigma = new Float32Array(2 * half);
      parts.forEach((part, i) => {
        mu.set(part.subarray(0, half), i * half);
        sigma.set(part.subarray(half).map((value) => Math.exp(value - 2)), i * half);
      });
      return {mu, sigma};
    }

    // (n, n, n) e/Å^3 of a code (nLatent,), laid flat, the last axis fastest
    density(z, n) {
      let x = gelu(this._linear("coefficients.0", z));
      x = gelu(this._linear("coefficients.3", x));
      const {spread, mean, components} = this._field(), a = this._linear("coefficients.5", x);
      const series = linear(a.map((value, k) => value * spread.data[k]), components, mean);
      return CrystalNet.waves.onGrid(this.waves, series, n).map((s) => s > 0 ? s * s : 0);
    }

    _field() {
      const [spread, mean, components] = ["spread", "mean", "components"].map((name) => this.tensors[`field.${name}`]);
      return {spread, mean, components};
    }

    _linear(name, x, rows = 1, step = 0) {
      return linear(x, this.tensors[`${name}.weight`], this.tensors[`${name}.bias`], rows, step);
    }

    _norm(name, x) {
      return layerNorm(x, this.tensors[`${name}.weight`], this.tensors[`${name}.bias`]);
    }

    _patternHead(profile) {
      const trunk = "pattern_encoder.trunk";
      let x = profile.map((value) => 3 * Math.sqrt(value)), channels = 1;
      for (const [place, size, stride, adds] of WINDOWS) {
        const name = `${trunk}.${place}.layers`, spare = size - stride, rows = x.length / channels / stride;
        const padded = new Float32Array(x.length + spare * channels);
        padded.set(x, (spare >> 1) * channels);
        const y = gelu(this._norm(`${name}.1`, this._linear(`${name}.0`, padded, rows, stride * channels)));
        if (adds) y.forEach((value, i) => { y[i] = x[i] + value; });
        x = y;
        channels = this.tensors[`${name}.0.bias`].data.length;
      }
      x = gelu(this._norm(`${trunk}.8`, this._linear(`${trunk}.7`, x)));
      return this._linear("pattern_encoder.head", gelu(this._linear(`${trunk}.11`, x)));
    }

    _compositionHead(composition) {
      const trunk = "composition_encoder.trunk";
      const x = gelu(this._linear(`${trunk}.1`, this.features(composition)));
      return this._linear("composition_encoder.head", gelu(this._linear(`${trunk}.4`, x)));
    }
  }

  CrystalNet.SpectralModel = SpectralModel;
})();
