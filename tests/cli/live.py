#!/usr/bin/env python3
"""ktap top: on a pseudo-terminal (what is drawn, keys, and that every end gives the terminal back) and into a pipe.
usage: live.py KTAP LOAD
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 20
TIOCGPTN = 0x80045430  # the number of a pseudo-terminal
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
TWO = """var calls, more = {}, {}
var beats = 0
var fixed = {x = 1}
tick-100ms { calls["a"] += 1 calls["b"] += 3 more["z", beats % 30] += 1 beats += 1 print("line", beats) }
trace_end { print("the end", len(calls)) }
"""


class Screen:
    """What a terminal of 24 x 80 shows of what the program writes; of escape sequences only what ktap uses."""

    def __init__(self, ktap, *arguments):
        self.bytes = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ["ASAN_OPTIONS"] = "handle_segv=0"  # a signal's end is the program's own
            os.execv(ktap, [ktap, *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.fd)
        self.status = None

    def read(self, seconds=0.1):
        """False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            return False
        self.bytes += got
        return got != b""

    def lines(self):
        """The last whole drawing: its lines without colours."""
        drawings = self.bytes.split(b"\x1b[H")
        for drawing in reversed(drawings[1:]):
            if drawing.endswith(b"\x1b[K") or LEAVE in drawing:
                text = drawing.split(LEAVE)[0].decode(errors="replace")
                return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r") for line in text.split("\r\n")]
        return []

    def until(self, wanted, seconds=TIMEOUT_S):
        """Waits until some drawing's lines satisfy `wanted`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.read() is False:
                break
            if wanted(self.lines()):
                return True
        print("\n".join(self.lines()))
        return False

    def keys(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Reads all there is; the exit status, minus the signal's number."""
        end = time.monotonic() + TIMEOUT_S
        while self.read() and time.monotonic() < end:
            pass
        while self.status is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.status = os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
        return self.status


def row(lines, name):
    """The words of the line that begins with it."""
    for line in lines:
        words = line.split()
        if words and words[0] == name:
            return words
    return []


def is_sorted_by(heading):
    return lambda lines: any(heading in line for line in lines)


def it_draws_tables_with_rates(ktap):
    screen = Screen(ktap, "top", "-q", "-e", TWO)
    good = screen.until(lambda lines: len(row(lines, "b")) == 3)
    lines = screen.lines()
    rate = float(row(lines, "b")[2]) if good else 0
    good = good and lines[0].startswith(" ktap top  -e") and 15 <= rate <= 45
    good = good and any("calls: 2 rows" in line for line in lines) and any("per second" in line for line in lines)
    good = good and row(lines, "b") != [] and lines.index(next(x for x in lines if x.split()[:1] == ["b"])) < \
        lines.index(next(x for x in lines if x.split()[:1] == ["a"]))
    good = good and row(lines, "beats") != [] and not any("fixed" in line for line in lines)
    good = good and any(re.match(r"line {4}\d+", line) for line in lines) and lines[23].startswith(" q quit")
    good = good and all(len(line) <= 80 for line in lines) and len(lines) == 24
    screen.keys("q")
    return screen.end() == 0 and good


def keys_sort_and_hold(ktap):
    screen = Screen(ktap, "top", "-q", "-e", TWO)
    good = screen.until(is_sorted_by("value ▼"))
    screen.keys("r")
    good = good and screen.until(is_sorted_by("value ▲"))
    screen.keys("<")
    good = good and screen.until(is_sorted_by("key ▲"))
    screen.keys("\x1b[C\x1b[C")
    good = good and screen.until(is_sorted_by("per second ▼"))
    screen.keys("\t")
    good = good and screen.until(is_sorted_by("▸ more: "))
    screen.keys("<")
    good = good and screen.until(is_sorted_by("key2 ▲"))
    screen.keys("\t\t")  # to the first again: the chosen one has its rows first
    good = good and screen.until(lambda lines: is_sorted_by("▸ calls: ")(lines) and row(lines, "b") != [])
    screen.keys(" ")
    good = good and screen.until(lambda lines: "held at" in lines[0])
    first = row(screen.lines(), "b")
    time.sleep(1.3)
    screen.read()
    good = good and row(screen.lines(), "b") == first
    screen.keys(" ")
    good = good and screen.until(lambda lines: row(lines, "b") not in ([], first))
    screen.keys("x\x1b[A\x1b[5~q")  # others mean nothing
    return screen.end() == 0 and good


def what_is_printed_at_the_end_stays(ktap):
    screen = Screen(ktap, "top", "-q", "-e", TWO)
    good = screen.until(lambda lines: row(lines, "b") != [])
    screen.keys("q")
    good = screen.end() == 0 and good
    return good and screen.bytes.split(LEAVE)[-1].decode().split() == ["the", "end", "2"]


def given_back(screen, during=lambda screen: None):
    """Whatever `during` does to it: the terminal is as it was. The exit status."""
    if not screen.until(lambda lines: row(lines, "b") != []):
        return False
    if termios.tcgetattr(screen.fd)[3] == screen.before[3]:
        return False  # it was not taken
    number = struct.unpack("I", fcntl.ioctl(screen.fd, TIOCGPTN, b"\0" * 4))[0]
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)  # so that its state outlives the program
    during(screen)
    deadline = time.monotonic() + TIMEOUT_S
    status = None
    while status is None and time.monotonic() < deadline:
        screen.read(0.05)
        pid, word = os.waitpid(screen.pid, os.WNOHANG)
        if pid != 0:
            status = os.waitstatus_to_exitcode(word)
    while select.select([screen.fd], [], [], 0.1)[0]:
        screen.read(0)
    after = termios.tcgetattr(slave)
    os.close(slave)
    os.close(screen.fd)
    if status is None:
        os.kill(screen.pid, signal.SIGKILL)
        os.waitpid(screen.pid, 0)
    if after != screen.before or screen.bytes.count(ENTER) != screen.bytes.count(LEAVE):
        print(after, screen.before, status)
        return None
    return status


def every_end_gives_the_terminal_back(ktap):
    def sends(number):
        return lambda screen: os.kill(screen.pid, number)

    def types(text):
        return lambda screen: screen.keys(text)

    ends = [(types("q"), 0), (types("\x03"), 0), (sends(signal.SIGTERM), 0), (sends(signal.SIGINT), 0),
            (sends(signal.SIGHUP), 0), (types("\x1c"), -signal.SIGQUIT),
            (sends(signal.SIGABRT), -signal.SIGABRT), (sends(signal.SIGSEGV), -signal.SIGSEGV),
            (sends(signal.SIGALRM), -signal.SIGALRM)]
    good = True
    for number, (end, wanted) in enumerate(ends):
        status = given_back(Screen(ktap, "top", "-q", "-e", TWO), end)
        if status != wanted:
            print(f"end {number}: {status}, not {wanted}")
            good = False
    return good


def ends_of_the_script_do_too(ktap):
    good = True
    leaves = TWO + "var late = 0\ntick-100ms { late += 1 if (late == 15) { exit(3) } }\n"
    fails = TWO + "var late = 0\ntick-100ms { late += 1 if (late == 15) { error(\"so it is\") } }\n"
    eats = TWO + "var all = {}\ntick-100ms { if (calls[\"a\"] > 12) { " \
        "for (i = 1, 90000) { all[len(all)] = i .. string.rep(\"x\", 9000) } } }\n"
    for name, script, options, wanted in (("exit", leaves, [], 3), ("error", fails, ["--strict"], 1),
                                          ("memory", eats, ["--strict", "--max-memory=64M"], 1)):
        status = given_back(Screen(ktap, "top", "-q", *options, "-e", script))
        if status != wanted:
            print(f"{name}: {status}")
            good = False
    return good


def a_mistake_is_told_on_the_screen_from_before(ktap):
    script = TWO + "tick-1200ms { var x = nil x() }\n"
    screen = Screen(ktap, "top", "-q", "-e", script)
    good = screen.until(lambda lines: row(lines, "b") != [])
    deadline = time.monotonic() + TIMEOUT_S
    while b"[K08" not in screen.bytes and time.monotonic() < deadline:
        screen.read()
    good = good and screen.until(lambda lines: row(lines, "b") != [])
    screen.keys("q")
    status = screen.end()
    between = screen.bytes.split(LEAVE)[1].split(ENTER)[0]
    return good and status == 1 and b"error:" in between


def into_a_pipe_it_is_text(ktap):
    script = TWO.replace("100ms", "1s").replace("1s {", "100ms { if (beats == 25) { exit() }", 1)
    done = subprocess.run([ktap, "top", "-q", "-e", script], capture_output=True, text=True, timeout=TIMEOUT_S)
    first = done.stdout.find("--- 1 s\ncalls: 2 rows\n  key  value ▼  per second\n  b")
    second = done.stdout.find("--- 2 s\ncalls: 2 rows\n", first)
    good = done.returncode == 0 and done.stderr == "" and "\x1b" not in done.stdout
    return good and 0 < first < second and done.stdout.startswith("line\t1\n") and done.stdout.endswith("the end\t2\n")


def into_a_pipe_the_end_is_told(ktap, load):
    """What has come since the last beat, also when there was none."""
    script = "var calls = {}\ntick-100ms { calls[\"a\"] += 1 if (calls[\"a\"] == 3) { exit() } }\n" \
             "trace_end { print(\"the end\") }\n"
    done = subprocess.run([ktap, "top", "-q", "-e", script], capture_output=True, text=True, timeout=TIMEOUT_S)
    good = done.returncode == 0 and re.fullmatch(
        r"(--- \d+ s\n(calls: .*\n.*\n  a .*\n)?)*--- \d+ s, the last look\ncalls: 1 row\n.*\n  a +3\b.*\n"
        r"the end\n", done.stdout)
    if os.geteuid() != 0 or not good:
        print(done.stdout)
        return bool(good)
    script = "var calls = {}\ntrace syscalls:sys_enter_getppid { calls[execname] += 1 }\n"
    done = subprocess.run([ktap, "top", "-q", "-e", script, "--", load, "getppid", "500"], capture_output=True,
                          text=True, timeout=TIMEOUT_S)
    return done.returncode == 0 and re.search(r"  load +500\b.*\n\Z", done.stdout) is not None


def stacks_are_told_apart(ktap, load):
    """The same calls of two processes are two rows, with whose they are: piped, and on a screen with the numbers."""
    if os.geteuid() != 0:
        return "needs root"
    script = "var t = {}\ntrace syscalls:sys_enter_getppid { t[ustack()] += 1 }\n"
    calls = f"{load} getppid 5 & {load} getppid 7 & wait; sleep 3"
    command = ["top", "-q", "--follow", "-e", script, "--", "sh", "-c", calls]
    done = subprocess.run([ktap, *command], capture_output=True, text=True, timeout=TIMEOUT_S)
    last = [line.split("  ") for line in done.stdout.split("the last look")[-1].splitlines()]
    stacks = [line[1] for line in last if len(line) > 2 and " main+" in line[1]]
    good = len(set(stacks)) == len(stacks) == 2 and all("(pid " in stack for stack in stacks)
    screen = Screen(ktap, *command)
    good = screen.until(lambda lines: any(re.search(r"\(pid \d+\) +7\b", line) for line in lines) and
                        any(re.search(r"\(pid \d+\) +5\b", line) for line in lines), 10) and good
    screen.keys("q")
    if not good:
        print(done.stdout)
    return screen.end() == 0 and good


def numbers_from_where_they_began(ktap):
    """A number that changes before the first picture is shown, one that rises has its change from what the main chunk
    left, one that falls none."""
    script = "var up, down, late, still = 40, 60, 900000, 7\nvar beats = 0\n" \
             "tick-100ms { beats += 1 if (beats == 2) { up += 2 } if (beats == 13) { down -= 2 late += 3 } }\n" \
             "tick-100ms { if (beats == 25) { exit() } }\n"
    done = subprocess.run([ktap, "top", "-q", "-e", script], capture_output=True, text=True, timeout=TIMEOUT_S)
    rows = [line.split() for line in done.stdout.splitlines()]
    ups, downs, lates = ([row[1:] for row in rows if row[:1] == [name]] for name in ("up", "down", "late"))
    good = done.returncode == 0 and ups and downs and lates and not any(row[:1] == ["still"] for row in rows)
    # How long a second is on a busy machine is not asked: far from 42 and 900000 in one.
    good = good and ups[0][0] == "42" and 0 < float(ups[0][1]) <= 20
    good = good and downs[0] == ["58"] and lates[0][0] == "900003" and re.fullmatch(r"\d+(\.\d+)?", lates[0][1])
    if not good:
        print(done.stdout, done.stderr)
    return bool(good)


def what_a_tick_empties_is_seen(ktap):
    script = "var c, n = {}, 0\ntick-10ms { c[\"a\"] += 1 }\n" \
             "tick-1s { n += 1 print(\"it was\", c[\"a\"]) delete(c) if (n == 4) { exit() } }\n"
    done = subprocess.run([ktap, "top", "-q", "-e", script], capture_output=True, text=True, timeout=TIMEOUT_S)
    seen = [int(words[1]) for words in map(str.split, done.stdout.splitlines()) if words[:1] == ["a"]]
    if done.returncode != 0 or max(seen, default=0) < 5:  # a machine that stops for a moment sees fewer
        print(done.stdout, done.stderr)
        return False
    return True


def tables_of_the_kernel(ktap, load):
    if os.geteuid() != 0:
        return "needs root"
    script = "var n, all, sizes = {}, 0, aggr()\n" \
             "trace syscalls:sys_enter_getppid { n[execname, cpu] += 1 all += 1 }\n" \
             "trace syscalls:sys_exit_getppid { sizes <<< 5 }\n"
    screen = Screen(ktap, "top", "-q", "-e", script, "--", load, *["getppid", "500", "sleep", "400"] * 7)
    good = screen.until(lambda lines: len(row(lines, "load")) == 4 and len(row(lines, "all")) == 3 and
                        len(row(lines, "sizes")) == 6, 10)
    good = good and row(screen.lines(), "sizes")[3:] == ["5", "5", "5"]
    screen.keys("q")
    return screen.end() == 0 and good


def what_a_row_does_not_have_is_blank(ktap):
    script = "var s = {}\ntick-200ms { s[\"a\"] = {x = 1, y = 2} s[\"b\"] = {x = 3} }\n"
    screen = Screen(ktap, "top", "-q", "-e", script)
    good = screen.until(lambda lines: len(row(lines, "a")) == 5 and len(row(lines, "b")) == 3)
    screen.keys("q")
    return screen.end() == 0 and good


def what_it_does_not_go_with(ktap):
    for arguments in (["-i"], ["--explain", "-e", "print(1)"], ["-b", "-e", "print(1)"]):
        done = subprocess.run([ktap, "top", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 2 or "ktap top runs a script" not in done.stderr:
            return False
    return True


def its_own_help(ktap):
    shown = subprocess.run([ktap, "top", "--help"], capture_output=True, text=True, timeout=TIMEOUT_S)
    bare = subprocess.run([ktap, "top"], capture_output=True, text=True, timeout=TIMEOUT_S)
    return (shown.returncode == 0 and shown.stdout.startswith("usage: ktap top ") and "  Tab " in shown.stdout and
            bare.returncode == 2 and "ktap top FILE" in bare.stderr)


def main():
    ktap, load = map(os.path.abspath, sys.argv[1:3])
    report = Report("live")
    for case in (it_draws_tables_with_rates, keys_sort_and_hold, what_is_printed_at_the_end_stays,
                 every_end_gives_the_terminal_back, ends_of_the_script_do_too,
                 a_mistake_is_told_on_the_screen_from_before, into_a_pipe_it_is_text, numbers_from_where_they_began,
                 what_a_tick_empties_is_seen, what_a_row_does_not_have_is_blank, what_it_does_not_go_with,
                 its_own_help):
        report.run(case, ktap)
    report.run(into_a_pipe_the_end_is_told, ktap, load)
    report.run(tables_of_the_kernel, ktap, load)
    report.run(stacks_are_told_apart, ktap, load)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
