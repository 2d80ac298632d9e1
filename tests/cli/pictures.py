#!/usr/bin/env python3
"""The pictures of print_flame and print_heatmap in a real Chromium, driven over WebDriver's plain HTTP: a click makes a
frame the whole width, a search marks frames and tells their share, tooltips come, light and dark differ. And a profile
of a program that spins 30:70, as folded text and as a picture (root). Skipped without Chromium and its driver.
usage: pictures.py KTAP LOAD
"""

import base64
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import xml.dom.minidom
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 60
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the standard's name for a reference to an element
WIDTH = 1280

FLAME = """var t = {}
t["server", "main", "handle", "parse"] = 300
t["server", "main", "handle", "write"] = 500
t["server", "main", "idle"] = 150
t["server", "main", "<lambda> & more", "parse"] = 50
print_flame(t, "flame.svg", "A server, samples")
"""
HEAT = """var lat = {}
for (slot = 1, 50) { for (i = 1, 40) { lat[slot] <<< 100 + slot * i } }
for (slot = 20, 30) { lat[slot] <<< 90000 }
print_heatmap(lat, "heat.svg", "Latency, us")
"""
PROFILE = """var s = {}
profile-997hz { s[execname, ustack()] += 1 }
trace_end {
  print_flame(s)
  print_flame(s, "prof.svg", "Where the load spins, samples")
}
"""


class Browser:
    """A headless Chromium with one window."""

    def __init__(self, driver, chromium, folder, dark=False):
        self.log = open(Path(folder) / "driver.log", "ab")
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=self.log, text=True,
                                       env=dict(os.environ, HOME=folder))
        port = None
        for line in self.driver.stdout:
            found = re.search(r"on port (\d+)", line)
            if found and int(found[1]) > 0:
                port = found[1]
                break
        assert port, "the driver names no port"
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--window-size={WIDTH},800", f"--user-data-dir={folder}/profile-{dark}"]
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        options = {"binary": chromium, "args": arguments}
        session = self.ask("POST", "/session",
                           {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}})
        self.url += "/session/" + session["sessionId"]

    def ask(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode(errors="replace")[:500]) from None

    def open(self, path):
        self.ask("POST", "/url", {"url": Path(path).resolve().as_uri()})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def element(self, selector):
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.element(selector)}/click")

    def type(self, selector, text):
        """By single keys: the driver's own way of typing is for HTML pages."""
        self.click(selector)
        for key in text:
            self.press(key)

    def point(self, selector):
        """Moves the mouse onto it."""
        self.ask("POST", "/actions", {"actions": [{
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
            "actions": [{"type": "pointerMove", "duration": 0, "x": 0, "y": 0,
                         "origin": {ELEMENT: self.element(selector)}}]}]})

    def press(self, key):
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    # ---- flame graphs

    def box(self, count, depth):
        """Where the frame of that count is: left, width, its text, whether it is to be seen."""
        return self.run("""
            var g = document.querySelector(`#frames g[data-n="${arguments[0]}"][data-d="${arguments[1]}"]`);
            var text = g.querySelector("text"), rect = g.querySelector("rect");
            return {left: +rect.getAttribute("x"), width: +rect.getAttribute("width"),
                    text: text ? text.textContent : "", fill: getComputedStyle(rect).fill,
                    shown: !g.classList.contains("hidden")};""", count, depth)

    def frame(self, count, depth):
        return f'#frames g[data-n="{count}"][data-d="{depth}"]'

    def end(self):
        try:
            self.ask("DELETE", "")
        except (OSError, RuntimeError):
            pass
        self.driver.terminate()
        self.driver.wait(timeout=TIMEOUT_S)
        self.log.close()


def draw(ktap, folder, script, *options):
    done = subprocess.run([ktap, *options, "-e", script], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0 or done.stderr or done.stdout:
        raise SystemExit(f"drawing failed: {done.returncode} {done.stdout}{done.stderr}")


def near(a, b, by=2):
    return abs(a - b) <= by


def a_picture_is_whole_xml(folder):
    for name in ("flame.svg", "heat.svg"):
        xml.dom.minidom.parse(str(Path(folder) / name))
    return "http" not in (Path(folder) / "flame.svg").read_text().replace("http://www.w3.org/", "")


def frames_are_as_wide_as_their_share(browser, folder):
    browser.open(f"{folder}/flame.svg")
    whole = browser.box(1000, 0)
    write = browser.box(500, 4)
    return near(whole["width"], WIDTH - 40) and near(write["width"], whole["width"] / 2) and write["text"] == "write" \
        and near(browser.box(800, 3)["width"], whole["width"] * 0.8)


def a_click_zooms_and_a_click_goes_back(browser, folder):
    browser.open(f"{folder}/flame.svg")
    whole = browser.box(1000, 0)["width"]
    browser.click(browser.frame(800, 3))
    zoomed = browser.box(800, 3)
    inside = browser.box(500, 4)
    good = near(zoomed["width"], whole) and near(inside["width"], whole * 500 / 800) and \
        not browser.box(150, 3)["shown"] and browser.box(1000, 0)["shown"]
    browser.click(browser.frame(1000, 0))
    good = good and near(browser.box(800, 3)["width"], whole * 0.8) and browser.box(150, 3)["shown"]
    browser.click(browser.frame(500, 4))
    good = good and near(browser.box(500, 4)["width"], whole)
    browser.click("#reset")
    good = good and near(browser.box(500, 4)["width"], whole * 0.5)
    browser.click(browser.frame(500, 4))
    browser.press("\ue00c")  # Escape
    return good and near(browser.box(500, 4)["width"], whole * 0.5)


def a_search_marks_and_tells_the_share(browser, folder):
    browser.open(f"{folder}/flame.svg")
    share = "return document.getElementById('share').textContent"
    found = "return document.querySelectorAll('#frames g.found').length"
    browser.type("#find", "pars")
    good = browser.run(share) == "35.0 % match" and browser.run(found) == 2
    browser.run("var find = document.getElementById('find'); find.value = '';")
    browser.type("#find", "handle|write")  # one within the other counts once
    good = good and browser.run(share) == "80.0 % match" and browser.run(found) == 2
    browser.click(browser.frame(800, 3))
    good = good and browser.run(share) == "100 % of this match"
    browser.press("\ue00c")
    good = good and browser.run(share) == "" and browser.run(found) == 0
    browser.press("\ue00c")
    browser.press("/")  # focuses the search
    browser.press("<")
    return good and browser.run(share) == "5.0 % match"


def tooltips_tell_count_and_share(browser, folder):
    browser.open(f"{folder}/flame.svg")
    text = "return document.querySelector('.tip').innerText + '|' + document.getElementById('tip').classList.length"
    hidden = browser.run(text).endswith("|1")
    browser.point(browser.frame(150, 3))
    shown = browser.run(text)
    return hidden and "idle" in shown and "150, 15.0 %" in shown and shown.endswith("|0") and \
        browser.run("return document.querySelectorAll('#frames title').length") == 0


def frames_follow_the_window(browser, folder):
    browser.open(f"{folder}/flame.svg")
    browser.ask("POST", "/window/rect", {"width": 900, "height": 700})
    time.sleep(0.3)
    narrow = browser.box(1000, 0)["width"]
    inner = browser.run("return window.innerWidth")
    browser.ask("POST", "/window/rect", {"width": WIDTH, "height": 800})
    time.sleep(0.3)
    return near(narrow, inner - 40) and inner < WIDTH and near(browser.box(1000, 0)["width"], WIDTH - 40)


def a_heat_map_has_its_cells(browser, folder):
    browser.open(f"{folder}/heat.svg")
    cells = browser.run("return document.querySelectorAll('.cells rect').length")
    top = browser.run("""return Array.from(document.querySelectorAll('.cells rect')).filter(
        (cell) => cell.textContent.startsWith('[64K, 128K)')).length""")
    fill = browser.run("return getComputedStyle(document.querySelector('.cells rect')).fill")
    return cells > 100 and top == 11 and fill.startswith("rgb(")


def light_and_dark_differ(light, dark, folder):
    looks = []
    for browser in (light, dark):
        browser.open(f"{folder}/flame.svg")
        fill = "return getComputedStyle(document.querySelector(arguments[0])).fill"
        looks.append((browser.run(fill, ".page"), browser.run(fill, ".title"), browser.box(500, 4)["fill"]))
    return all(a != b for a, b in zip(*looks))


def shares_of_folded(text):
    """Of the lines that the load has: how many samples in all, and in each of the two functions."""
    sums = {"all": 0, "spin_three": 0, "spin_seven": 0}
    for line in text.splitlines():
        path, _, count = line.rpartition(" ")
        if not path.startswith("load;"):
            continue
        sums["all"] += int(count)
        for name in ("spin_three", "spin_seven"):
            sums[name] += int(count) if path.endswith(";" + name) else 0
    return sums


def a_known_program_is_30_to_70(ktap, load, folder, browser):
    """The load spins for 8 seconds, 30:70: one profile, as text and as a picture."""
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run([ktap, "-q", "-e", PROFILE, "--", load, "spin", "8000"], capture_output=True, text=True,
                          cwd=folder, timeout=TIMEOUT_S)
    sums = shares_of_folded(done.stdout)
    spun = sums["spin_three"] + sums["spin_seven"]
    if done.returncode != 0 or spun < 1000 or not near(100 * sums["spin_seven"] / spun, 70, 3):
        print(done.stdout, done.stderr, sums)
        return False
    if browser is None:
        return "no Chromium to look at the picture with"
    browser.open(f"{folder}/prof.svg")
    browser.type("#find", "^spin_seven$")
    share = browser.run("return document.getElementById('share').textContent")
    browser.screenshot(f"{folder}/prof.png")
    found = re.fullmatch(r"([\d.]+) % match", share)
    if not found or not near(float(found[1]), 70, 3):
        print(share)
        return False
    return True


def pictures_go_where_o_says(ktap, folder):
    """-o NAME.svg: the last picture is there, all else on standard output; without a picture that is an error."""
    path = Path(folder) / "out.svg"
    script = 'print("a") print_flame({a = 1}, nil, "one") print_flame({b = 2}, nil, "two") print("b")'
    done = subprocess.run([ktap, "-o", path, "-e", script], capture_output=True, text=True, timeout=TIMEOUT_S)
    good = (done.returncode, done.stdout, done.stderr) == (0, "a\nb\n", "")
    text = path.read_text()
    good = good and "<title>two</title>" in text and "<title>one</title>" not in text
    good = good and path.stat().st_mode & 0o77 == 0
    none = subprocess.run([ktap, "-o", path, "-e", "print(1)"], capture_output=True, text=True, timeout=TIMEOUT_S)
    return good and none.returncode == 1 and none.stdout == "1\n" and "no picture was drawn" in none.stderr and \
        path.read_text() == text and nothing_is_left(ktap, folder)


def names_of_pictures(ktap, folder):
    """A picture that a script draws into the file of -o is one; long names, and links whether they lead to a file or
    not: a link stays, and the file is where it leads, its owner's alone."""
    place = Path(folder) / "names"
    (place / "there").mkdir(parents=True)
    draws = 'print_flame({a = 1}, arg[1])'

    def is_drawn(*arguments):
        done = subprocess.run([ktap, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, cwd=place)
        if (done.returncode, done.stdout, done.stderr) != (0, "", ""):
            print(arguments, done)
        return (done.returncode, done.stdout, done.stderr) == (0, "", "")

    good = is_drawn("-o", "own.svg", "-e", 'print_flame({a = 1}, "own.svg")')
    good = is_drawn("-e", draws, "n" * 251 + ".svg") and good
    (place / "old.svg").write_text("old")
    for link, leads in (("a.svg", "old.svg"), ("b.svg", "there/new.svg")):
        (place / link).symlink_to(leads)
        good = is_drawn("-e", draws, link) and (place / link).is_symlink() and good
        good = (place / leads).read_text().startswith("<") and (place / leads).stat().st_mode & 0o77 == 0 and good
    (place / "c.svg").symlink_to("nowhere/new.svg")
    (place / "d.svg").symlink_to("d.svg")
    for link in ("c.svg", "d.svg"):
        done = subprocess.run([ktap, "-e", draws, link], capture_output=True, text=True, timeout=TIMEOUT_S, cwd=place)
        good = done.returncode == 1 and f"cannot write to {link}: " in done.stderr and good
    left = {path.name for path in place.iterdir()}
    names = {"own.svg", "n" * 251 + ".svg", "old.svg", "a.svg", "b.svg", "c.svg", "d.svg", "there"}
    return good and left == names and (place / "c.svg").is_symlink()


def colours_where_they_are(ktap):
    """On a terminal that has 256 of them; else the letters."""
    script = "var lat = {} lat[1] <<< 5 print_heatmap(lat)"
    good = True
    for terminal, more, wanted in (("xterm", {}, True), ("tmux-256color", {}, True), ("foot-256color", {}, True),
                                   ("linux", {"COLORTERM": "truecolor"}, True), ("", {}, False), ("dumb", {}, False),
                                   ("linux", {}, False), ("vt100", {}, False), ("xterm", {"NO_COLOR": "1"}, False)):
        main, terminal_fd = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if name not in ("COLORTERM", "NO_COLOR")}
        done = subprocess.run([ktap, "-e", script], stdin=subprocess.DEVNULL, stdout=terminal_fd, timeout=TIMEOUT_S,
                              env={**kept, "TERM": terminal, **more})
        os.close(terminal_fd)
        text = os.read(main, 65536)
        os.close(main)
        if done.returncode != 0 or (b"\x1b[48;5;" in text) != wanted or b"sample" not in text:
            print(terminal, more, text)
            good = False
    return good


def nothing_is_left(ktap, folder):
    """Neither an empty file where no picture was drawn, nor half a one, nor anything beside; and a pipe is no file."""
    new, pipe = Path(folder) / "new.svg", Path(folder) / "pipe.svg"
    none = subprocess.run([ktap, "-o", new, "-e", "print(1)"], capture_output=True, text=True, timeout=TIMEOUT_S)
    if none.returncode != 1 or "no picture was drawn" not in none.stderr or new.exists():
        return False
    os.mkfifo(pipe)
    for arguments, wanted in ((["-o", pipe, "-e", "print(1)"], 2), (["-e", f'print_flame({{a = 1}}, "{pipe}")'], 1)):
        done = subprocess.run([ktap, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode != wanted or "this is a pipe or a device" not in done.stderr:
            return False
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return True
    small = Path(folder) / "small"
    small.mkdir()
    script = 'var t = {} for (i = 1, 900) { t["k" .. i] = i } print_flame(t, "old.svg")'
    command = 'mount -t tmpfs -o size=8k ktap-test . && cd "$PWD" && echo before >old.svg && "$0" -e "$1"; ' \
              'echo $?; ls; cat old.svg'
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, ktap, script], capture_output=True, text=True,
                          timeout=TIMEOUT_S, cwd=small)
    if done.stdout != "1\nold.svg\nbefore\n" or "cannot write to old.svg: No space left" not in done.stderr:
        return False
    # No other file fits beside it: it is written where it is, and becomes its owner's alone.
    script = 'print_flame({a = 1}, "old.svg")'
    command = 'mount -t tmpfs -o nr_inodes=2 ktap-test . && cd "$PWD" && echo before >old.svg && ' \
              'chmod 644 old.svg && "$0" -e "$1"; echo $?; stat -c %a old.svg; head -c 4 old.svg'
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, ktap, script], capture_output=True, text=True,
                          timeout=TIMEOUT_S, cwd=small)
    return done.stdout == "0\n600\n<svg" and done.stderr == ""


def main():
    ktap, load = map(os.path.abspath, sys.argv[1:3])
    keep = sys.argv[3] if len(sys.argv) > 3 else None
    report = Report("pictures")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    folder = keep or tempfile.mkdtemp(prefix="ktap-pictures-")
    os.makedirs(folder, exist_ok=True)
    light = dark = None
    try:
        draw(ktap, folder, FLAME)
        draw(ktap, folder, HEAT)
        report.run(a_picture_is_whole_xml, folder)
        report.run(pictures_go_where_o_says, ktap, folder)
        report.run(names_of_pictures, ktap, folder)
        report.run(colours_where_they_are, ktap)
        if chromium is None or driver is None:
            for case in (frames_are_as_wide_as_their_share, a_click_zooms_and_a_click_goes_back,
                         a_search_marks_and_tells_the_share, tooltips_tell_count_and_share, frames_follow_the_window,
                         a_heat_map_has_its_cells, light_and_dark_differ):
                report.skip(case.__name__, "no chromium and chromedriver here (tools/setup pictures)")
        else:
            light, dark = Browser(driver, chromium, folder), Browser(driver, chromium, folder, dark=True)
            for case in (frames_are_as_wide_as_their_share, a_click_zooms_and_a_click_goes_back,
                         a_search_marks_and_tells_the_share, tooltips_tell_count_and_share, frames_follow_the_window,
                         a_heat_map_has_its_cells):
                report.run(case, light, folder)
            report.run(light_and_dark_differ, light, dark, folder)
            if keep:
                for name in ("flame", "heat"):
                    for look, browser in (("light", light), ("dark", dark)):
                        browser.open(f"{folder}/{name}.svg")
                        browser.screenshot(f"{folder}/{name}-{look}.png")
        report.run(a_known_program_is_30_to_70, ktap, load, folder, light)
    finally:
        for browser in (light, dark):
            if browser is not None:
                browser.end()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
