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
