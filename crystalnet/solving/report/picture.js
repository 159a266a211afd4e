// Draws the crystal of #picture-data; the pointer and the arrow keys turn it.
(() => {
  const canvas = document.getElementById("picture"), paper = canvas.getContext("2d");
  const scene = JSON.parse(document.getElementById("picture-data").textContent);
  const reach = Math.max(...scene.edges.flat().map(p => Math.hypot(...p)));
  let turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const times = (a, b) => a.map((_, i) => [0, 1, 2].reduce((t, k) => t + a[3 * Math.floor(i / 3) + k] * b[3 * k + i % 3], 0));
  const about = (x, y) => times([1, 0, 0, 0, Math.cos(x), -Math.sin(x), 0, Math.sin(x), Math.cos(x)],
                                [Math.cos(y), 0, Math.sin(y), 0, 1, 0, -Math.sin(y), 0, Math.cos(y)]);
  const seen = p => [0, 1, 2].map(i => turn[3 * i] * p[0] + turn[3 * i + 1] * p[1] + turn[3 * i + 2] * p[2]);
  function draw() {
    const scale = 0.42 * Math.min(canvas.width, canvas.height) / reach;
    const place = p => [canvas.width / 2 + scale * p[0], canvas.height / 2 - scale * p[1]];
    const line = (a, b, colour, width) => {
      paper.strokeStyle = colour; paper.lineWidth = width;
      paper.beginPath(); paper.moveTo(...place(a)); paper.lineTo(...place(b)); paper.stroke();
    };
    paper.clearRect(0, 0, canvas.width, canvas.height);
    const atoms = scene.atoms.map(a => ({ at: seen(a), r: a[3], colour: a[4] }));
    scene.edges.forEach(([a, b]) => line(seen(a), seen(b), "#888", 1));
    const things = atoms.map(a => ({ z: a.at[2], draw() {
      const [x, y] = place(a.at), r = scale * a.r;
      const shade = paper.createRadialGradient(x - r / 3, y - r / 3, r / 8, x, y, r);
      shade.addColorStop(0, "#fff"); shade.addColorStop(0.35, a.colour); shade.addColorStop(1, a.colour);
      paper.fillStyle = shade; paper.beginPath(); paper.arc(x, y, r, 0, 7); paper.fill();
    } }));
    scene.bonds.forEach(([i, j]) => things.push({ z: (atoms[i].at[2] + atoms[j].at[2]) / 2 - 0.01,
      draw: () => line(atoms[i].at, atoms[j].at, "#999", 3) }));
    things.sort((a, b) => a.z - b.z).forEach(thing => thing.draw());
  }
  const rotate = (dx, dy) => { turn = times(about(dy, dx), turn); draw(); };
  let from = null;
  canvas.addEventListener("pointerdown", e => { from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", e => {
    if (!from) return;
    rotate((e.clientX - from[0]) / 100, (e.clientY - from[1]) / 100);
    from = [e.clientX, e.clientY];
  });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("keydown", e => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[e.key];
    if (step) { rotate(...step); e.preventDefault(); }
  });
  turn = about(0.35, -0.5);
  draw();
})();
