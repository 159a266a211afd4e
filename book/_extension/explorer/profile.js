// Powder peaks, {twoTheta, intensity, d} in degrees, any unit and Å, to the profile that the network reads
// (see physics/profiles.py); and a reader's list of peaks, typed line by line.
window.CrystalNet ??= {};
(() => {
  const N_BINS = 768, LOWEST = 0.05, HIGHEST = 1.42, REACH = 3; // as there: 1/Å, bins
  const LOG_STEP = Math.log(HIGHEST / LOWEST) / N_BINS;

  function lorentzPolarisation(twoTheta) {
    const theta = twoTheta * Math.PI / 360;
    return (1 + Math.cos(2 * theta) ** 2) / (Math.sin(theta) ** 2 * Math.cos(theta));
  }

  // (768,), highest bin 1. Throws where no peak lies on the axis.
  function logProfile(peaks) {
    const heights = new Float64Array(N_BINS);
    for (const {twoTheta, intensity, d} of peaks) {
      const amplitude = intensity / lorentzPolarisation(twoTheta);
      const place = Math.log(1 / (2 * d) / LOWEST) / LOG_STEP, own = Math.floor(place);
      for (let bin = Math.max(0, own - REACH); bin <= Math.min(N_BINS - 1, own + REACH); bin++) {
        heights[bin] += amplitude * Math.exp(-0.5 * (bin + 0.5 - place) ** 2);
      }
    }
    const profile = Float32Array.from(heights), highest = profile.reduce((a, b) => Math.max(a, b), 0);
    if (!(highest > 0)) {
      const [shortest, longest] = [1 / (2 * HIGHEST), 1 / (2 * LOWEST)];
      throw new CrystalNet.Mistake(
        `No peak lies between d = ${shortest.toFixed(3)} and ${longest.toFixed(0)} Å. Check the wavelength.`);
    }
    return profile.map((height) => height / highest);
  }

  // '2theta intensity' a line, parted by blanks, tabs, commas or semicolons; lines that begin with # are skipped.
  function parsedPeaks(text, wavelength) {
    if (!(wavelength > 0 && wavelength < Infinity)) {
      throw new CrystalNet.Mistake("The wavelength must be a positive number of Å, such as 1.5406.");
    }
    const peaks = [];
    text.split("\n").forEach((line, number) => {
      const words = line.trim().split(/[\s,;]+/);
      if (!words[0] || words[0].startsWith("#")) return;
      const [twoTheta, intensity] = words.map(Number), where = `Line ${number + 1} of the peaks`;
      if (words.length < 2 || !Number.isFinite(twoTheta) || !Number.isFinite(intensity)) {
        throw new CrystalNet.Mistake(`${where}, "${line.trim()}", is not two numbers. Give 2theta and intensity.`);
      }
      if (!(twoTheta > 0 && twoTheta < 180)) {
        throw new CrystalNet.Mistake(`${where} has 2theta = ${twoTheta}. Angles lie between 0 and 180 degrees.`);
      }
      if (intensity < 0) {
        throw new CrystalNet.Mistake(`${where} has the negative intensity ${intensity}. Intensities are 0 or more.`);
      }
      peaks.push({twoTheta, intensity, d: wavelength / (2 * Math.sin(twoTheta * Math.PI / 360))});
    });
    if (!peaks.some(({intensity}) => intensity > 0)) {
      throw new CrystalNet.Mistake("There are no peaks. Give 2theta and intensity, a peak a line.");
    }
    return peaks;
  }

  // the place of a d, Å, among the bins
  const binOfD = (d) => Math.log(1 / (2 * d) / LOWEST) / LOG_STEP - 0.5;

  CrystalNet.Mistake = class extends Error {}; // of the reader's input; its message is one sentence or two
  CrystalNet.profile = {N_BINS, logProfile, parsedPeaks, lorentzPolarisation, binOfD};
})();
