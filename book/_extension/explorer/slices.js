// Central slices of densities, each a small canvas that the browser enlarges: fast enough to follow the hand.
window.CrystalNet ??= {};
(() => {
  const AXES = ["x", "y", "z"];

  function rgb(hex) {
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  // 256 colours through the given ones, (256, 3)
  function table(colours) {
    const stops = colours.map(rgb), last = stops.length - 1;
    return Array.from({length: 256}, (_, i) => {
      const place = i / 255 * last, from = Math.min(Math.floor(place), last - 1);
      return stops[from].map((value, c) => Math.round(value + (place - from) * (stops[from + 1][c] - value)));
    });
  }

  // The density (n, n, n) where one coordinate is 1/2, as an image (n, n): the first other axis runs right,
  // the second up.
  function plane(density, n, axis) {
    const middle = Math.round(0.5 * n) % n, steps = [n * n, n, 1], [right, up] = steps.filter((_, a) => a !== axis);
    return Float32Array.from({length: n * n}, (_, i) =>
      density[middle * steps[axis] + (i % n) * right + (n - 1 - Math.floor(i / n)) * up]);
  }

  class Slices {
    constructor(place, n, colours) {
      Object.assign(this, {place, n, colours: table(colours), gradient: colours.join(", ")});
    }

    // rows: {name: density}; colours run from 0 to the highest value in the slices of `scaled`, one of them or
    // another density, e/Å^3.
    draw(rows, scaled) {
      const top = Math.max(1e-6, ...AXES.flatMap((_, axis) => [...plane(scaled, this.n, axis)]));
      const names = Object.keys(rows);
      if (this.names?.join() !== names.join()) this._lay(names);
      this.scale.textContent = `${top.toPrecision(3)} e/Å³`;
      Object.values(rows).forEach((density, row) => AXES.forEach((_, axis) => {
        const image = new ImageData(this.n, this.n);
        plane(density, this.n, axis).forEach((value, i) => {
          const colour = this.colours[Math.max(0, Math.min(255, Math.round(value / top * 255)))];
          image.data.set([...colour, 255], 4 * i);
        });
        this.canvases[3 * row + axis].getContext("2d").putImageData(image, 0, 0);
      }));
    }

    _lay(names) {
      this.names = names;
      const heads = AXES.map((axis) => `<span>${axis} = ½</span>`).join("");
      const canvas = (name, axis) =>
        `<canvas width="${this.n}" height="${this.n}" role="img" aria-label="slice of the ${name}, ${axis} = ½"></canvas>`;
      const rows = names.map((name) => `<span>${name}</span>${AXES.map((axis) => canvas(name, axis)).join("")}`).join("");
      this.place.innerHTML = `<div class="slices"><span></span>${heads}${rows}</div>
        <div class="scale"><span>0</span><i style="background: linear-gradient(to right, ${this.gradient})"></i>
        <span></span></div>`;
      this.canvases = [...this.place.querySelectorAll("canvas")];
      this.scale = this.place.querySelector(".scale span:last-child");
    }
  }

  CrystalNet.Slices = Slices;
})();
