#!/usr/bin/env python3
"""Opens the HTML report in headless Chromium and uses it as a reader does: mouse, keyboard, print.

    apt-get install chromium chromium-driver
    python scripts/test_report.py [PAGE.html] [--screenshots DIR]

Without PAGE.html the page of `cargo run --example report` is taken. Speaks WebDriver with the standard library alone.
"""
import argparse
import base64
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A headless Chromium behind ChromeDriver."""

    def __init__(self, profile, width=1360, height=1000):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-level=SEVERE"], stdout=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                urllib.request.urlopen(self.base + "/status", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options = {"binary": "/usr/bin/chromium", "args": arguments}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            return json.load(urllib.request.urlopen(request, timeout=120))["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()[:400]}") from None

    def open(self, page):
        self.call("POST", "/url", {"url": pathlib.Path(page).resolve().as_uri()})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})

    def hover(self, selector):
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        move = {"type": "pointerMove", "duration": 0, "origin": self.find(selector), "x": 0, "y": 0}
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def away(self):
        move = {"type": "pointerMove", "duration": 0, "origin": "viewport", "x": 1, "y": 1}
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def press(self, *keys):
        strokes = []
        for key in keys:
            value = KEYS.get(key, key)
            strokes += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def click(self, selector):
        element = self.find(selector)[ELEMENT]
        self.call("POST", f"/element/{element}/click", {})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path):
        if path:
            # Colours fade in over a moment.
            time.sleep(0.4)
            path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def log(self):
        return self.call("POST", "/se/log", {"type": "browser"})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


WORD = "#s{0} .{1} .w:nth-of-type({2})"


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")
    print(f"ok: {what}")


def text_of(browser, selector):
    return browser.run("return Array.from(document.querySelectorAll(arguments[0]), (e) => e.textContent)", selector)


def test(browser, shots):
    shot = lambda name: shots / f"{name}.png" if shots else None
    check("title", browser.run("return document.title"), "جسر.txt")
    check("no error in the console", [entry["message"] for entry in browser.log()], [])
    check("nothing is fetched", browser.run("return performance.getEntriesByType('resource').map((e) => e.name)"), [])

    # Both sides: Arabic on the right and right to left, English on the left.
    boxes = browser.run("""return ['source', 'target'].map((side) => {
        const p = document.querySelector('#s1 .' + side), words = p.querySelectorAll('.w');
        return [p.getBoundingClientRect().left, words[0].getBoundingClientRect().left, words[1].getBoundingClientRect().left, getComputedStyle(p).direction];
    })""")
    (source, target) = boxes
    check("Arabic stands right of the English", source[0] > target[0], True)
    check("Arabic runs right to left", source[2] < source[1] and source[3] == "rtl", True)
    check("English runs left to right", target[2] > target[1] and target[3] == "ltr", True)
    sides = browser.run("return Array.from(document.querySelectorAll('#s1 p'), (p) => p.className)")
    check("the Arabic is read out first", sides, ["source", "target"])
    browser.screenshot(shot("light"))

    # Hover.
    browser.hover(WORD.format(1, "source", 2))
    check("hovered word", text_of(browser, ".held"), ["بلدية"])
    linked = text_of(browser, "#s1 .target .hard")
    check("partners of a source word", linked, ["The", "council"])
    strong, weak = browser.run("""const color = (e) => getComputedStyle(e).getPropertyValue('--p');
        return [Math.max(...Array.from(document.querySelectorAll('.hard'), color)), Math.min(...Array.from(document.querySelectorAll('.lit'), color))]""")
    check("strength by opacity", strong > 50 > weak, True)
    browser.screenshot(shot("hover-arabic"))
    browser.hover(WORD.format(1, "target", 11))
    check("hovered English word", text_of(browser, ".held"), ["bridge"])
    check("its partner", text_of(browser, "#s1 .source .hard"), ["الجسر"])
    check("caption names both", "الجسر" in text_of(browser, ".caption")[0], True)
    browser.away()
    check("nothing is lit without the mouse", text_of(browser, ".lit, .held"), [])

    # Keyboard: the first side, then word by word as the eye goes, then the partner.
    browser.run("document.querySelector('#s1 .source').focus()")
    browser.press("Left")
    check("left arrow enters Arabic at its first word", text_of(browser, ".held"), ["أعلنت"])
    browser.press("Left")
    check("left arrow goes on", text_of(browser, ".held"), ["بلدية"])
    browser.press("Right")
    check("right arrow goes back", text_of(browser, ".held"), ["أعلنت"])
    said = text_of(browser, ".live")[0]
    check("what a screen reader says", said.startswith("أعلنت: announced,") and "percent" in said, True)
    browser.press("Enter")
    check("enter goes to the partner", text_of(browser, ".held"), ["announced"])
    browser.press("Right")
    check("right arrow goes on in English", text_of(browser, ".held"), ["yesterday"])
    browser.press("Down")
    check("down goes to the next sentence", browser.run("return document.activeElement.closest('.pair').id"), "s2")
    browser.press("Escape")
    check("escape lets go", text_of(browser, ".lit, .held"), [])
    check("escape stays on the side", browser.run("return document.activeElement.className"), "target")
    browser.press("f")
    check("f goes to a flag", browser.run("return document.activeElement.classList.contains('flag')"), True)
    browser.press("Tab")
    check("tab goes on to the next sentence", browser.run("return document.activeElement.className"), "source")

    # Flags.
    flags = text_of(browser, "#s2 .flag")
    check("flags with their reason", [flag.split(" ")[0] for flag in flags], ["number", "negation"])
    browser.hover("#s2 .flag")
    check("a flag lights its words", text_of(browser, ".named"), ["40", "14"])
    browser.screenshot(shot("flag"))
    browser.away()

    # Matrix.
    browser.hover("#s3 .source")
    browser.click("#s3 .matrix")
    size = browser.run("const t = document.querySelector('#s3 table'); return [t.tBodies[0].rows.length, t.tHead.rows[0].cells.length]")
    words = browser.run("return ['target', 'source'].map((side) => document.querySelectorAll('#s3 .' + side + ' .w').length)")
    check("matrix has all words", [size[0], size[1] - 2], words)
    heads = browser.run("return Array.from(document.querySelectorAll('#s3 thead th')).slice(0, 2).map((th) => th.getBoundingClientRect().left)")
    check("matrix columns run right to left", heads[1] < heads[0], True)
    check("matrix is announced as open", browser.run("return document.querySelector('#s3 .matrix').ariaExpanded"), "true")
    browser.screenshot(shot("matrix"))
    browser.click("#s3 .matrix")
    check("matrix closes", text_of(browser, "#s3 table"), [])

    # Switches.
    browser.run("scrollTo(0, 0)")
    colour = "return getComputedStyle(document.querySelectorAll('#s1 .target .w')[3]).backgroundColor"
    before = browser.run(colour)
    browser.click("#shade")
    time.sleep(0.3)
    check("confidence shading turns on", browser.run(colour) != before, True)
    browser.screenshot(shot("confidence"))
    browser.click("#shade")
    time.sleep(0.3)
    check("and off", browser.run(colour), before)
    browser.click("#doubts")
    shown = "return Array.from(document.querySelectorAll('.pair')).filter((p) => p.checkVisibility()).map((p) => p.id)"
    check("flagged sentences only", browser.run(shown), ["s2", "s4", "s5"])
    browser.click("#doubts")
    browser.click("#theme")
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    check("dark on request", paper, "rgb(21, 23, 26)")
    browser.hover(WORD.format(1, "target", 4))
    browser.screenshot(shot("dark-hover"))
    browser.away()
    browser.click("#theme")
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.run("location.reload()")
    time.sleep(0.5)
    check("dark with the system", browser.run("return getComputedStyle(document.body).backgroundColor"), "rgb(21, 23, 26)")
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])

    # Escaping.
    check("hostile text ran nothing", browser.run("return document.title"), "جسر.txt")
    check("scripts in the page", browser.run("return document.querySelectorAll('script').length"), 2)
    check("hostile text is shown", "<script>document.title" in text_of(browser, "#s4 .target")[0], True)
    blocked = browser.run("""const s = document.createElement('script'); s.textContent = 'document.title = "broken"';
        document.body.append(s); return document.title""")
    check("the policy stops any other script", blocked, "جسر.txt")

    # Narrow, and print.
    browser.devtools("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=2, mobile=True)
    wide = browser.run("return document.documentElement.scrollWidth")
    check("nothing sticks out on a telephone", wide <= 400, True)
    browser.screenshot(shot("narrow"))
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    pdf = browser.call("POST", "/print", {"background": True})
    pdf = base64.b64decode(pdf)
    check("prints", pdf.startswith(b"%PDF"), True)
    if shots:
        (shots / "print.pdf").write_bytes(pdf)


def measure(browser, page):
    """How long a 500-sentence article takes to open, to light a word, and to scroll through."""
    start = time.perf_counter()
    browser.open(page)
    opened = time.perf_counter() - start
    hover, frames = browser.run("""
        const words = document.querySelectorAll('#s250 .w'); const start = performance.now();
        for (const word of words) word.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
        document.body.offsetHeight;
        const hover = (performance.now() - start) / words.length;
        let worst = 0; const height = document.documentElement.scrollHeight;
        for (let y = 0; y < height; y += 800) {
            const t = performance.now(); scrollTo(0, y); document.body.offsetHeight; worst = Math.max(worst, performance.now() - t);
        }
        return [hover, worst]""")
    pairs = browser.run("return document.querySelectorAll('.pair').length")
    print(f"{pairs} sentences: open {opened:.2f} s, light a word {hover:.2f} ms, longest scroll step {frames:.1f} ms")
    check("a long article stays smooth", hover < 50 and frames < 400, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", nargs="?", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        example = lambda times: subprocess.run(
            ["cargo", "run", "-q", "--example", "report", "--", str(times)], cwd=ROOT, check=True, capture_output=True
        ).stdout
        page, long = folder / "page.html", folder / "long.html"
        if arguments.page is None:
            page.write_bytes(example(1))
            long.write_bytes(example(100))
        browser = Browser(folder / "profile")
        try:
            if arguments.page:
                browser.open(arguments.page)
                browser.screenshot(arguments.screenshots and arguments.screenshots / "page.png")
                check("no error in the console", [entry["message"] for entry in browser.log()], [])
            else:
                browser.open(page)
                test(browser, arguments.screenshots)
                measure(browser, long)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
