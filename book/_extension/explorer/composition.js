// A formula to atomic fractions, and fractions to what the network is told of them (see model/compositions.py).
window.CrystalNet ??= {};
(() => {
  const SLOTS = 6, PRESENT = Math.fround(5e-3), EQUAL = Math.fround(1e-3), FLOOR = 0.05; // as there
  const CLOSES = {"(": ")", "[": "]", "{": "}"};

  // Atomic fractions (118,), index Z - 1, of a formula such as 'Ca(OH)2' or 'Na0.5Cl0.5'.
  function fractions(formula, symbols) {
    const tokens = formula.replace(/\s+/g, "").match(/[A-Z][a-z]?|\d+\.?\d*|\.\d+|./gu) ?? [];
    let place = 0;
    const mistake = (text) => new CrystalNet.Mistake(`${text} Write a formula such as NaCl or Ca(OH)2.`);

    function number() {
      return /^[\d.]+$/.test(tokens[place] ?? "") ? Number(tokens[place++]) : 1;
    }

    function group(end) {
      const counts = new Map();
      const add = (z, count) => counts.set(z, (counts.get(z) ?? 0) + count);
      for (; tokens[place] !== end; ) {
        const token = tokens[place++];
        if (token === undefined) throw mistake(`The formula "${formula}" lacks a closing ${end}.`);
        if (token in CLOSES) {
          const inner = group(CLOSES[token]);
          place++;
          const times = number();
          inner.forEach((count, z) => add(z, count * times));
        } else if (token === "-" || token === "−") {
          throw mistake(`The formula "${formula}" holds a negative number.`);
        } else if (/^[A-Z]/.test(token)) {
          const z = symbols.indexOf(token) + 1;
          if (!z) throw mistake(`There is no element ${token}.`);
          add(z, number());
        } else throw mistake(`The formula "${formula}" cannot be read at "${token}".`);
      }
      return counts;
    }

    const counts = group(undefined), total = [...counts.values()].reduce((a, b) => a + b, 0);
    if (!(total > 0)) throw mistake("The formula names no atoms.");
    const result = new Float32Array(symbols.length);
    counts.forEach((count, z) => { result[z - 1] = count / total; });
    return result;
  }

  const halfToEven = (x) => Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);

  // (118,) to features (404,), each divided by its spread. The order of the elements hangs on the last digit
  // of a float32 where fractions are nearly equal, so that sums are rounded here as torch rounds them.
  function features(composition, properties, spread) {
    const [nElements, nProperties] = properties.shape, table = properties.data;
    const result = new Float32Array(spread.data.length), electronegativity = nProperties - 5; // of PROPERTIES
    result.set(composition);
    for (let p = 0; p < nProperties; p++) {
      let mean = 0, square = 0;
      for (let z = 0; z < nElements; z++) {
        const value = table[z * nProperties + p];
        mean = Math.fround(mean + composition[z] * value);
        square = Math.fround(square + composition[z] * Math.fround(value * value));
      }
      result[nElements + p] = mean;
      result[nElements + nProperties + p] =
        Math.sqrt(Math.max(0, Math.fround(square - Math.fround(mean * mean))));
    }
    const rank = Array.from(composition, (share, z) => share < PRESENT ? Infinity : Math.fround(
      halfToEven(Math.fround(share / EQUAL)) + Math.fround(table[z * nProperties + electronegativity] / 4)));
    const order = rank.map((_, z) => z).sort((a, b) => rank[a] === rank[b] ? 0 : rank[a] - rank[b]);
    order.slice(0, SLOTS).forEach((z, slot) => {
      if (composition[z] < PRESENT) return;
      const from = nElements + 2 * nProperties + slot * (1 + nProperties);
      result[from] = composition[z];
      result.set(table.subarray(z * nProperties, (z + 1) * nProperties), from + 1);
    });
    return result.map((value, i) => value / Math.fround(spread.data[i] + Math.fround(FLOOR)));
  }

  CrystalNet.composition = {fractions, features};
})();
