// What readers without a mouse or a screen need, and the theme leaves out.
window.addEventListener("load", () => {
  // A name that lacks the words in sight gives way to them.
  for (const named of document.querySelectorAll("summary[aria-label], button[aria-label]")) {
    const words = named.innerText.replace(/\s+/g, " ").trim();
    if (words && !named.getAttribute("aria-label").includes(words)) named.removeAttribute("aria-label");
  }
  const modes = document.querySelector(".theme-switch-button");  // its icons come later, each with a title
  modes?.setAttribute("aria-label", "Color mode: Light, Dark or System Settings");
  // What scrolls sideways can be reached, and so scrolled, by keys.
  for (const box of document.querySelectorAll(".wrapped, pre, .cell_output .output")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
