// Isosurfaces of densities in the unit cell of fractional coordinates, by the plotly.js that the page has.
window.CrystalNet ??= {};
(() => {
  const CAMERA = {eye: {x: 2, y: 1.24, z: 0.88}}; // the direction of show/densities.py, from farther off
  const HIDDEN = {visible: false, showbackground: false};
  const WIDE = 250; // pixels a cell, at most as high

  // Each value with its place, the cell's last faces repeating its first ones.
  function repeated(density, n) {
    const x = [], y = [], z = [], value = [];
    for (let i = 0; i <= n; i++) for (let j = 0; j <= n; j++) for (let k = 0; k <= n; k++) {
      x.push(i / n);
      y.push(j / n);
      z.push(k / n);
      value.push(density[((i % n) * n + j % n) * n + k % n]);
    }
    return {x, y, z, value};
  }

  function surface(density, n, level, colour, scene) {
    // plotly draws a surface at both ends; the upper one lies above every value, so that the caps are full
    const points = repeated(density, n), top = points.value.reduce((a, b) => Math.max(a, b), 0);
    return {
      type: "isosurface", ...points, scene, isomin: level, isomax: 1.001 * Math.max(top, level),
      surface: {count: 2}, colorscale: [[0, colour], [1, colour]], showscale: false, hoverinfo: "skip",
      lighting: {ambient: 0.6, diffuse: 0.6, specular: 0.1, roughness: 0.6},
      lightposition: {x: 2000, y: 1000, z: 3000},
    };
  }

  function edges(ink, scene) {
    const line = (i, j) => [i, j, [null, null, null]], corners = [], names = ["a", "b", "c"];
    for (let c = 0; c < 8; c++) corners.push([c >> 2, (c >> 1) & 1, c & 1]);
    const path = [];
    for (let c = 0; c < 8; c++) for (const bit of [1, 2, 4]) if (!(c & bit)) path.push(...line(corners[c], corners[c | bit]));
    const ends = [0, 1, 2].map((axis) => [0, 1, 2].map((i) => i === axis ? 1.08 : 0));
    const points = [...path, ...ends.flatMap((end) => [end, [null, null, null]])];
    const [x, y, z] = [0, 1, 2].map((axis) => points.map((point) => point[axis]));
    return {
      type: "scatter3d", mode: "lines+text", x, y, z, scene, showlegend: false, hoverinfo: "skip",
      text: [...path.map(() => ""), ...names.flatMap((name) => [name, ""])],
      textfont: {color: ink}, line: {color: ink, width: 2},
    };
  }

  // rows: {name: density}; one scene each, side by side.
  function surfaces(place, rows, n, level, {surface: colour, ink}) {
    const names = Object.keys(rows), traces = [], annotations = [];
    const layout = {
      height: WIDE + 30, margin: {l: 0, r: 0, t: 24, b: 0}, paper_bgcolor: "rgba(0,0,0,0)",
      font: {color: ink, size: 12, family: "system-ui, sans-serif"}, annotations, uirevision: names.join(),
    };
    names.forEach((name, i) => {
      const scene = i ? `scene${i + 1}` : "scene", x = [i / names.length, (i + 1) / names.length];
      layout[scene] = {
        domain: {x, y: [0, 1]}, xaxis: HIDDEN, yaxis: HIDDEN, zaxis: HIDDEN, aspectmode: "cube",
        camera: CAMERA, dragmode: "turntable",
      };
      annotations.push({text: name, x: (x[0] + x[1]) / 2, y: 1, yanchor: "bottom", xref: "paper", yref: "paper", showarrow: false});
      traces.push(surface(rows[name], n, level, colour, scene), edges(ink, scene));
    });
    // uirevision: the view that the reader turned to stays while the same densities are on show
    return Plotly.react(place, traces, layout, {responsive: true, displayModeBar: false});
  }

  CrystalNet.surfaces = surfaces;
})();
