// Profiles one above the other on their common axis of d, as an SVG that takes its text colour from the page.
window.CrystalNet ??= {};
(() => {
  const WIDTH = 520, LINE = 62, GAP = 18, FOOT = 44; // units of the drawing
  const TICKS = [10, 5, 3, 2, 1.5, 1, 0.7, 0.5, 0.4]; // Å

  const x = (bin) => ((bin + 0.5) / CrystalNet.profile.N_BINS) * WIDTH;

  // The curve of a profile, highest 1, on a base line; square roots, as the network reads it.
  function curve(profile, base) {
    return "M" + Array.from(profile, (value, bin) =>
      `${x(bin).toFixed(1)},${(base - LINE * Math.sqrt(value)).toFixed(1)}`).join("L");
  }

  // rows: {label: {profile, colour}}
  function strips(place, rows) {
    const bases = Object.keys(rows).map((_, i) => (i + 1) * (LINE + GAP)), height = bases.at(-1) + FOOT;
    const lines = Object.entries(rows).map(([label, {profile, colour}], i) =>
      `<path d="${curve(profile, bases[i])}" stroke="${colour}"/>
       <text x="0" y="${bases[i] - LINE - 3}">${label}</text>`).join("");
    const ticks = TICKS.map((d) => ({d, at: x(CrystalNet.profile.binOfD(d))})).map(({d, at}) =>
      `<path d="M${at},${bases.at(-1) + 2}v5" stroke="currentColor"/>
       <text x="${at}" y="${bases.at(-1) + 21}" text-anchor="${at < 9 ? "start" : "middle"}">${d}</text>`).join("");
    place.innerHTML = `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="profiles: ${Object.keys(rows).join("; ")}">
      ${lines}${ticks}<text x="${WIDTH / 2}" y="${height - 3}" text-anchor="middle">d / Å</text></svg>`;
  }

  CrystalNet.strips = strips;
})();
