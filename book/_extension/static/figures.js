// Figures have a transparent ground and grey lines; only their text follows the page's theme.
(() => {
  const page = document.documentElement;
  const recolour = () => {
    const colour = getComputedStyle(document.body).color;
    document.querySelectorAll(".plotly-graph-div").forEach((figure) => Plotly.relayout(figure, {"font.color": colour}));
  };
  window.addEventListener("load", () => page.dataset.theme === "dark" && recolour());
  new MutationObserver(recolour).observe(page, {attributes: true, attributeFilter: ["data-theme"]});
})();

// A figure whose layout says meta.turns goes round by itself while it is in sight, until a hand takes it.
(() => {
  const SECONDS = 24, FRAME = 66;  // of one turn, and milliseconds between pictures: our choice
  const turn = (figure) => {
    const scenes = Object.keys(figure._fullLayout).filter((key) => /^scene\d*$/.test(key));
    const starts = scenes.map((scene) => ({...figure._fullLayout[scene].camera.eye}));
    let seen = false, taken = false, busy = false, angle = 0, before = null;
    new IntersectionObserver((entries) => { seen = entries.at(-1).isIntersecting; }).observe(figure);
    for (const event of ["pointerdown", "wheel", "touchstart"]) {
      figure.addEventListener(event, () => { taken = true; }, {passive: true, capture: true});
    }
    const step = (now) => {
      if (taken) return;
      if (seen && !busy && !document.hidden && (before === null || now - before >= FRAME)) {
        angle += before === null ? 0 : 2 * Math.PI * Math.min(now - before, 200) / (1000 * SECONDS);
        before = now;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const eyes = scenes.map((scene, k) => {
          const {x, y, z} = starts[k];
          return [`${scene}.camera.eye`, {x: c * x - s * y, y: s * x + c * y, z}];
        });
        busy = true;
        Plotly.relayout(figure, Object.fromEntries(eyes)).then(() => { busy = false; });
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  };
  window.addEventListener("load", () => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    document.querySelectorAll(".plotly-graph-div").forEach((figure) => figure.layout?.meta?.turns && turn(figure));
  });
})();
