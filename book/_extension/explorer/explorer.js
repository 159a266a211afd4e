// The explorer on the page: controls above a session's density, slices and profiles. Its data come with the
// reader's press on Start, so that the page itself stays light.
window.CrystalNet ??= {};
(() => {
  const DATA = new URL("data.js", document.currentScript.src).href;
  const REST = 250; // ms without a change until surfaces are drawn, our choice
  const OWN = "own";
  const CONTROLS = `
    <form class="controls">
      <label class="wide">Crystal <select name="crystal"></select></label>
      <fieldset class="wide" hidden>
        <label>Formula <input name="formula" autocomplete="off" spellcheck="false"></label>
        <label>Wavelength, Å <input name="wavelength" inputmode="decimal" value="1.5406"></label>
        <label class="wide">Peaks, <code>2theta intensity</code> a line <textarea name="peaks" rows="6" spellcheck="false"></textarea></label>
        <button>Ask the network</button>
      </fieldset>
      <label>Sample A <input name="first" type="number" min="0" max="4294967295" step="1" value="0"></label>
      <label>Sample B <input name="second" type="number" min="0" max="4294967295" step="1" value="1"></label>
      <label>A to B, <i>t</i> <input name="t" type="range" min="0" max="1" step="0.05" value="0"><output></output></label>
      <label>Noise <input name="noise" type="range" min="0" max="3" step="0.1" value="0"><output></output></label>
      <label class="wide">Surface around the densest <input name="share" type="range" min="1" max="50" step="1" value="10"><output></output></label>
    </form>
    <p class="mistake" role="alert"></p>
    <div class="words" aria-live="polite"></div>
    <div class="panels"><div class="surfaces"></div><div class="planes"></div><div class="strips"></div></div>`;

  class Explorer {
    constructor(place, session) {
      place.innerHTML = CONTROLS;
      const find = (name) => place.querySelector(name);
      const {colours, example} = session.facts;
      Object.assign(this, {
        place, session, colours, form: find("form"), mistake: find(".mistake"), words: find(".words"),
        panels: find(".panels"), surfaces: find(".surfaces"), strips: find(".strips"), own: find("fieldset"),
        slices: new CrystalNet.Slices(find(".planes"), session.n, colours.sequential),
      });
      const {crystal, formula, peaks} = this.form.elements;
      const median = session.crystals.length >> 1; // the first on show, as in the still figure
      session.crystals.forEach(({formula, space_group, material_id, honest_ssim}, i) => crystal.add(new Option(
        `${formula}, space group ${space_group} (${material_id}), honest SSIM ${honest_ssim.toFixed(3)}`,
        i, i === median, i === median)));
      crystal.add(new Option("your own: a formula and a list of peaks", OWN));
      [formula.defaultValue, peaks.defaultValue] = [example.formula, example.peaks];
      const ofSubject = new Set(["crystal", "formula", "peaks", "wavelength"]);
      this.form.addEventListener("input", ({target}) => ofSubject.has(target.name) || this.soon());
      this.form.addEventListener("change", ({target}) => ofSubject.has(target.name) && this.take());
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.take();
      });
      this.take();
    }

    // Take the crystal or the input that is chosen, and show it.
    take() {
      const {crystal, formula, peaks, wavelength} = this.form.elements, own = crystal.value === OWN;
      this.own.hidden = !own;
      this.attempt(() => {
        if (own) this.session.own(formula.value, peaks.value, Number(wavelength.value.replace(",", ".")));
        else this.session.choose(Number(crystal.value));
        this.show();
      });
    }

    // Show what the controls say, once before the browser paints again.
    soon() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.attempt(() => this.show()));
    }

    attempt(action) {
      try {
        action();
        this.mistake.textContent = "";
      } catch (error) {
        clearTimeout(this.rest);
        this.mistake.textContent = error.message;
        if (!(error instanceof CrystalNet.Mistake)) throw error;
      } finally {
        this.panels.classList.toggle("stale", this.mistake.textContent !== "");
        this.words.hidden = this.mistake.textContent !== "";
      }
    }

    settings() {
      const {first, second, t, noise, share} = this.form.elements;
      for (const [input, name] of [[first, "A"], [second, "B"]]) {
        if (!input.value || !input.checkValidity()) {
          throw new CrystalNet.Mistake(`Sample ${name} must be a whole number, ${input.min} to ${input.max}.`);
        }
      }
      return [first, second, t, noise, share].map((input) => Number(input.value));
    }

    show() {
      const {session, colours} = this, {subject, answer} = session;
      const [first, second, t, noise, share] = this.settings();
      const found = session.at(first, second, t, noise), name = noise ? "sample" : "answer";
      // level and colours are those of the answer and of the truth, so that they hold while samples change
      const level = answer.slice().sort()[Math.floor((1 - share / 100) * (answer.length - 1))];
      const densities = {...(subject.truth && {truth: subject.truth}), [name]: found.density};
      const profiles = {"input, X-rays": {profile: subject.profile, colour: colours.input}};
      if (session.truthProfile) profiles["truth, valence electrons"] = {profile: session.truthProfile, colour: colours.truth};
      if (found.profile) profiles[`${name}, valence electrons`] = {profile: found.profile, colour: colours.sample};

      const outputs = {t: t.toFixed(2), noise: noise.toFixed(1), share: `${share} %, above ${level.toPrecision(3)} e/Å³`};
      for (const [input, text] of Object.entries(outputs)) this.form.elements[input].nextElementSibling.value = text;
      this.words.replaceChildren(...this.lines(found, t, noise).map((text) =>
        Object.assign(document.createElement("p"), {textContent: text})));
      this.slices.draw(densities, subject.truth ?? answer);
      CrystalNet.strips(this.strips, profiles);
      this.found = found;
      clearTimeout(this.rest);
      this.rest = setTimeout(() => CrystalNet.surfaces(this.surfaces, densities, session.n, level, colours), REST);
    }

    lines({similarity}, t, noise) {
      const {session} = this, {expected, facts: {confident}} = session;
      const which = noise ? `t = ${t}, noise = ${noise}` : "the latent mean, the honest answer";
      const score = similarity === undefined ? "The truth is not known." : `SSIM ${similarity.toFixed(3)} with the truth.`;
      return [
        `Shown: ${which}. ${score}`,
        `${expected < confident ? "No confident answer" : "Confidence"}: from how its samples agree, the network`
        + ` expects SSIM ${expected.toFixed(3)} of its answer${expected < confident ? `, below ${confident}.` : "."}`,
      ];
    }
  }

  function loaded(url) {
    return new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), {src: url, onload: resolve});
      script.onerror = () => reject(new Error("Its data could not be loaded. Reload the page, or build the book again."));
      document.head.append(script);
    });
  }

  async function start(place, button) {
    const words = button.textContent;
    try {
      button.disabled = true;
      button.textContent = "Loading …";
      if (!window.DecompressionStream) throw new Error("This browser is too old for the explorer. Bring it up to date.");
      if (!CrystalNet.packed) await loaded(DATA);
      const session = await CrystalNet.Session.opened(CrystalNet.packed);
      CrystalNet.explorer = new Explorer(place, session);
      place.querySelector("select").focus({preventScroll: true});
    } catch (error) {
      button.after(Object.assign(document.createElement("span"), {className: "mistake", role: "alert", textContent: error.message}));
      button.disabled = false;
      button.textContent = words;
      throw error;
    }
  }

  document.querySelectorAll(".latent-explorer").forEach((place) => {
    const button = Object.assign(document.createElement("button"), {
      type: "button", className: "start", textContent: `Start the explorer (${CrystalNet.megabytes} MB)`,
    });
    button.addEventListener("click", () => start(place, button));
    place.querySelector("p").replaceChildren(button); // in place of the words for readers without scripts
  });
})();
