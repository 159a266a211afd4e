"""The explorer of the pages: its scripts are the Python network, number by number, and answer a reader."""

import base64
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import explorer_data
import explorer_page
import numpy as np
import pytest
import torch
from browser import chromium_or_skip, complaints, requests, served
from pymatgen.core import Composition

from crystalnet.data.crystals import composition_vector
from crystalnet.model import library
from crystalnet.model.confidence import agreement
from crystalnet.physics.density_pattern import density_peaks
from crystalnet.physics.diffraction import Peaks
from crystalnet.physics.profiles import log_profile
from crystalnet.physics.similarity import ssim
from crystalnet.runs.showcase import NETWORK, chosen, read_showcase
from crystalnet.show.placeholder import placeholder

SHOWN = range(0, 16, 5)  # crystals compared, the worst among them
CLOSE = 1e-4  # of the highest voxel
FORMULA, WAVELENGTH = "Ca(OH)2", 1.5406
PEAKS = np.array([[18.1, 72.0], [28.7, 23.0], [34.1, 100.0], [47.1, 30.5], [50.8, 31.0], [151.0, 4.0]])
FORMULAS = (
    "Ca(OH)2",
    "KAl3Si3O12H2",
    "Na0.5 Cl0.5",
    "Li2[CO3]",
    "Fe",
    "CaMgFeMnO4",
    "Y1Ba2Cu3O6.93",
    "H15C1",
    "PuUO4",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A page with the placeholder, the explorer's files and plotly.js: no more than a chapter has."""
    folder = tmp_path_factory.mktemp("site")
    size = explorer_data.write_explorer(folder / "explorer")
    (folder / "plotly.min.js").write_bytes(
        distribution("plotly").locate_file("plotly/package_data/plotly.min.js").read_bytes()
    )
    truth = read_showcase()["truth"][0]
    still = placeholder({"truth": truth}, "A still figure.").data
    scripts = "".join(f'<script defer src="explorer/{name}"></script>' for name in explorer_data.SCRIPTS)
    (folder / "page.html").write_text(
        f'<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width"><script src="plotly.min.js"></script>'
        f"<script>window.CrystalNet = {{megabytes: {size:.1f}}};</script>{scripts}"
        f'<link rel="stylesheet" href="explorer/{explorer_data.STYLE}"></head><body>{still}</body></html>'
    )
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from chromium_or_skip()


def start(browser) -> None:
    """Press Start on the open page, and wait until the explorer has drawn all."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.find_element("css selector", ".latent-explorer button").click()
    WebDriverWait(browser, 30).until(lambda d: d.execute_script(DRAWN), "the explorer did not start")


DRAWN = "return !!document.querySelector('.surfaces .main-svg') && !!CrystalNet.explorer.found"
# float32 arrays travel as base64: JSON of a grid takes seconds
ASK = """
const session = CrystalNet.explorer.session, model = session.model;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const floats = (text) => new Float32Array(bytes(text));
const sent = (array) => {
  const raw = new Uint8Array(Float32Array.from(array).buffer);
  let text = "";
  for (let i = 0; i < raw.length; i += 8192) text += String.fromCharCode(...raw.subarray(i, i + 8192));
  return btoa(text);
};
"""


@pytest.fixture(scope="module")
def running(site: Path, browser):
    browser.get(f"{site.as_uri()}/page.html")
    start(browser)
    return browser


def ask(running, script: str, *arrays) -> np.ndarray:
    """The array that a script returns, `sent`; its arguments are float32 arrays, or plain values."""
    sent = [
        base64.b64encode(np.ascontiguousarray(a, np.float32).tobytes()).decode()
        if isinstance(a, np.ndarray)
        else a
        for a in arrays
    ]
    return np.frombuffer(base64.b64decode(running.execute_script(ASK + script, *sent)), np.float32)


@pytest.fixture(scope="module")
def network():
    return library.load(NETWORK)


@pytest.fixture(scope="module")
def inputs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Profile and composition of some of the crystals, and of a formula and a list of peaks."""
    shown = read_showcase()
    two_theta, intensity = PEAKS.T
    peaks = Peaks(two_theta, intensity, WAVELENGTH / (2 * np.sin(np.radians(two_theta / 2))))
    typed = log_profile(peaks), composition_vector(Composition(FORMULA))
    return [*((shown["profile"][i], shown["composition"][i]) for i in SHOWN), typed]


def typed(peaks: np.ndarray) -> str:
    return "# measured\n\n" + "\n".join(f"{angle}\t{height}" for angle, height in peaks)


def test_the_browser_computes_the_network(running, network, inputs):
    random = torch.Generator().manual_seed(7)
    for number, (profile, composition) in enumerate(inputs):
        latent = network.latent(profile, composition)
        noise = torch.randn(latent.mu.shape, generator=random)
        for n, unit_noise in ((25, 0 * noise), (50, noise)):
            ours = network.density(latent.at(unit_noise), n)[0].numpy()
            theirs = ask(
                running,
                "const [profile, composition, noise] = [...arguments].slice(0, 3).map(floats);"
                "const {mu, sigma} = model.latent(profile, composition);"
                "return sent(model.density(mu.map((m, i) => m + noise[i] * sigma[i]), arguments[3]));",
                profile, composition, unit_noise.numpy(), n,
            ).reshape(n, n, n)  # fmt: skip
            difference = np.abs(ours - theirs).max() / ours.max()
            print(f"input {number}, {n}^3: {difference:.1e} of the highest voxel")
            assert difference < CLOSE


def test_it_reads_what_the_reader_types_as_python_does(running, network, inputs):
    features = network.composition_encoder.trunk.features
    for formula in FORMULAS:
        theirs = ask(
            running,
            "const {fractions} = CrystalNet.composition;"
            "return sent(model.features(fractions(arguments[0], session.facts.symbols)));",
            formula,
        )
        ours = features(torch.from_numpy(composition_vector(Composition(formula)))[None])[0].numpy()
        np.testing.assert_allclose(theirs, ours, atol=1e-5, err_msg=formula)
    profile = ask(
        running,
        "return sent(CrystalNet.profile.logProfile(CrystalNet.profile.parsedPeaks(...arguments)))",
        typed(PEAKS), WAVELENGTH,
    )  # fmt: skip
    np.testing.assert_allclose(profile, inputs[-1][0], atol=1e-6)


def test_similarity_pattern_and_confidence_are_pythons(running, network):
    shown = read_showcase()
    for i in SHOWN:
        running.execute_script(
            "const {session} = CrystalNet.explorer; session.choose(arguments[0]);"
            "window.found = session.at(3, 4, 0.5, 2);",
            i,
        )
        density = ask(running, "return sent(found.density)").reshape(25, 25, 25).copy()
        truth = shown["truth"][i].astype(np.float32)
        similarity, agreed, expected = ask(
            running, "return sent([found.similarity, session.agreement, session.expected])"
        )
        assert similarity == pytest.approx(
            ssim(truth, density, float(np.ptp(truth)), periodic=True), abs=1e-5
        )

        peaks = density_peaks(density, shown["lattice"][i])
        theirs = ask(
            running,
            "const peaks = CrystalNet.pattern.densityPeaks(found.density, 25, session.subject.lattice);"
            "return sent(peaks.flatMap(Object.values))",
        ).reshape(-1, 3)
        np.testing.assert_allclose(theirs, np.stack(peaks, 1), rtol=1e-4, atol=1e-4)
        profile = ask(running, "return sent(found.profile)")
        np.testing.assert_allclose(profile, log_profile(peaks), atol=1e-4)

        samples = ask(
            running,
            "const draw = (seed) => model.density(CrystalNet.sampling.sample(session.latent, seed), 25);"
            "return sent([session.answer, ...[0, 1, 2, 3, 4].map(draw)].flatMap((grid) => [...grid]));",
        ).reshape(6, 25, 25, 25)
        answer, *samples = torch.from_numpy(samples.copy())
        assert agreed == pytest.approx(agreement(answer, torch.stack(samples)), abs=1e-5)
        assert expected == pytest.approx(network.confidence.expected(agreed), abs=1e-4)


def test_its_noise_is_gaussian_and_one_a_seed(running):
    draws = [
        ask(running, "return sent(CrystalNet.sampling.noise(arguments[0], 20000))", s) for s in (0, 1, 0)
    ]
    assert np.array_equal(draws[0], draws[2]) and abs(np.corrcoef(draws[0], draws[1])[0, 1]) < 0.03
    for draw in draws[:2]:
        assert abs(draw.mean()) < 0.03 and abs(draw.std() - 1) < 0.03
        assert np.abs(np.quantile(draw, [0.159, 0.841]) - [-1, 1]).max() < 0.04


class Reader:
    """What a reader does with the explorer's controls, and sees."""

    def __init__(self, driver):
        self.driver = driver

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def control(self, name: str):
        return self.find(f"[name={name}]")

    def words(self) -> str:
        self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 0))")
        return self.find(".words").text

    def mistake(self) -> str:
        return self.find(".mistake").text

    def press(self, name: str, key: str, times: int = 1) -> None:
        self.control(name).send_keys(key * times)

    def fill(self, name: str, text: str) -> None:
        typed = "arguments[0].value = arguments[1];"
        heard = "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.driver.execute_script(typed + heard, self.control(name), text)


@pytest.fixture
def reader(running) -> Reader:
    running.execute_script("CrystalNet.explorer.form.reset(); CrystalNet.explorer.take()")
    return Reader(running)


def test_it_follows_the_keyboard(reader):
    from selenium.webdriver.common.keys import Keys

    complaints(reader.driver)
    honest = reader.words()
    assert "honest answer" in honest and "SSIM" in honest
    reader.press("noise", Keys.ARROW_RIGHT, 20)
    noisy = reader.words()
    assert "noise = 2" in noisy and noisy != honest
    reader.press("t", Keys.ARROW_RIGHT)
    assert "t = 0.05" in reader.words() != noisy
    reader.fill("second", "-1")
    reader.words()
    assert "Sample B must be a whole number" in reader.mistake()
    reader.fill("second", "5")
    assert "t = 0.05" in reader.words() and not reader.mistake()
    reader.press("noise", Keys.HOME)
    assert reader.words() == honest
    reader.press("crystal", Keys.ARROW_DOWN)
    assert "honest answer" in reader.words() != honest
    assert complaints(reader.driver) == []


def test_it_takes_a_formula_and_peaks_or_says_what_is_wrong(reader):
    from selenium.webdriver.common.keys import Keys

    complaints(reader.driver)
    reader.press("crystal", Keys.END)
    assert "The truth is not known" in reader.words() and "Confidence" in reader.words()  # the example
    for name, text, said in (
        ("formula", "Xx2O", "There is no element Xx."),
        ("formula", "Na-1Cl", "negative number"),
        ("formula", "Ca(OH", "lacks a closing )"),
        ("formula", "", "names no atoms"),
        ("peaks", "", "There are no peaks"),
        ("peaks", "27.4 -3", "negative intensity -3"),
        ("peaks", "27.4", "is not two numbers"),
        ("peaks", "200 5", "between 0 and 180"),
        ("wavelength", "-1.5", "wavelength must be a positive number"),
        ("wavelength", "90", "No peak lies between"),
    ):
        before = reader.control(name).get_property("value")
        reader.fill(name, text)
        reader.find("fieldset button").click()
        assert said in reader.mistake()
        reader.fill(name, before)
    reader.fill("formula", FORMULA)
    reader.fill("peaks", typed(PEAKS))
    reader.press("wavelength", Keys.ENTER)
    assert not reader.mistake()
    assert "No confident answer" in reader.words()  # it is trigonal, unlike all that the network knows
    assert complaints(reader.driver) == []


def test_it_fits_a_phone(running):
    for name, metrics in {"phone": (390, 844), "desktop": (1400, 1000)}.items():
        size = {"width": metrics[0], "height": metrics[1], "deviceScaleFactor": 1, "mobile": name == "phone"}
        running.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wide = running.execute_script("return document.documentElement.scrollWidth")
        running.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert wide <= metrics[0]


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_it_starts_alone_and_when_asked(scheme: str, site: Path, browser):
    with served(site) as address:
        origin = site.as_uri() if scheme == "file" else address
        requests(browser), complaints(browser)  # what other tests left
        browser.get(f"{origin}/page.html")
        assert browser.find_element("tag name", "img").is_displayed()
        assert not any("data.js" in url for url in requests(browser))
        start(browser)
        asked = requests(browser)
        assert any("data.js" in url for url in asked)
        assert [url for url in asked if not url.startswith((origin, "data:", "blob:"))] == []
        assert complaints(browser) == []


def test_the_page_stays_light(site: Path):
    assert sum(file.stat().st_size for file in (site / "explorer").iterdir()) < 8e6
    assert (site / "page.html").stat().st_size < 1e6


def test_the_scripts_are_on_pages_with_the_placeholder_alone(tmp_path: Path, monkeypatch):
    added = []
    app = SimpleNamespace(
        outdir=tmp_path,
        add_js_file=lambda name, **options: added.append(name or options["body"]),
        add_css_file=added.append,
    )
    explorer_page.add_explorer(app, "intro", "page.html", {"body": "<p>the latent explorer</p>"}, None)
    assert added == [] and not any(tmp_path.iterdir())
    body = placeholder({"a < b": read_showcase()["truth"][0]}, "Truth & answer.").data
    assert "a &lt; b" in body and "Truth &amp; answer." in body and "make lab" in body
    monkeypatch.setattr(explorer_data, "write_explorer", lambda folder: 5.0)
    explorer_page.add_explorer(app, "latent", "page.html", {"body": body}, None)
    assert "vendor/plotly.min.js" in added and "window.CrystalNet = {megabytes: 5.0};" in added
    scripts = [name.removeprefix("explorer/") for name in added if name.startswith("explorer/")]
    assert scripts == [*explorer_data.SCRIPTS, explorer_data.STYLE]
    assert {name for name in scripts} == {file.name for file in explorer_data.SOURCES.iterdir()}


def test_its_crystals_are_those_of_the_record():
    from crystalnet.runs.params import repository_root
    from crystalnet.runs.records import Record
    from crystalnet.runs.showcase import RECORD

    record = Record.read(repository_root() / "book" / "results" / RECORD)
    table, shown = chosen(record.scores), read_showcase()
    assert table["material_id"].tolist() == shown["material_id"].tolist()
    np.testing.assert_allclose(shown["honest_ssim"], table["honest_ssim"], rtol=1e-6)
    assert record.network == NETWORK
    for formula, composition in zip(shown["formula"], shown["composition"], strict=True):
        np.testing.assert_allclose(composition, composition_vector(Composition(formula)), atol=1e-6)


def test_the_answers_to_its_crystals_score_as_in_the_record(network):
    """At half the grid's resolution and with rounded weights, where the scores have the full grid."""
    shown = read_showcase()
    for i, (profile, composition) in enumerate(zip(shown["profile"], shown["composition"], strict=True)):
        truth = torch.from_numpy(shown["truth"][i].astype(np.float32))
        answer = network.answer(profile, composition, len(truth))
        found = ssim(truth, answer, float(truth.max() - truth.min()), periodic=True)
        published = shown["honest_ssim"][i]  # a wrong answer's depends much on the grid
        assert found == pytest.approx(published, abs=0.04 if published > 0.9 else 0.2)
