#!/usr/bin/env python3
"""ktap -i: statements from a pipe and from a terminal, handlers that are armed as they are entered and stay armed.
usage: prompt.py KTAP
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
ROOT_ONLY = "needs root"


def run(ktap, text, *options):
    return subprocess.run([ktap, "-i", *options], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=TIMEOUT_S)


class Piped:
    """A session whose input is written line by line; what it traces is this process."""

    def __init__(self, ktap, *options):
        self.process = subprocess.Popen([ktap, "-i", "-p", str(os.getpid()), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)

    def enter(self, text):
        """Enters it; the next line of output is what it printed, for entries that print one."""
        self.process.stdin.write(text + "\n")

    def ask(self, text):
        self.enter(text)
        return self.process.stdout.readline().rstrip("\n")

    def ready(self):
        """All that was entered is armed: what an entry prints comes out when the handlers are armed again."""
        return self.ask("print(\"ready\")") == "ready"

    def end(self):
        """(rest of the output, errors, status)."""
        output, errors = self.process.communicate(timeout=TIMEOUT_S)
        return output, errors, self.process.returncode


def call_getppid(count):
    for _ in range(count):
        os.getppid()


def values_are_printed(ktap):
    done = run(ktap, "1 + 1\n\"text\"\nnil\n{1, 2}\nvar x = 0.5\nx\ntrue && nil\nlen(\"abc\")\nprint(7)\n")
    return done.stdout == "2\ntext\nnil\n1: 1\n2: 2\n0.5\nnil\n3\n7\n" and done.stderr == "" and \
        done.returncode == 0


def variables_and_functions_stay(ktap):
    done = run(ktap, "var a, b = 1, 2\nlocal c\nfunction f(x) { return x + a }\n"
                     "local function g() { return f(b) }\ng()\na = 10\ng()\nc\nvar t = {}\n"
                     "t.k = g\nt.k()\nvar a = 100\ng()\ndo { var a = 5 print(a) }\na\n")
    return done.stdout == "3\n12\nnil\n12\n102\n5\n100\n" and done.stderr == ""


def entries_go_on_while_open(ktap):
    done = run(ktap, "print(1,\n2)\nif (true) {\nprint(\"in\")\n}\nvar s = [[a\nb]]\ns\n1 +\n\n2\n"
                     "var t = {\n\"x\",\n}\nt\nprint(3")
    return done.stdout == "1\t2\nin\na\nb\n2\n1: x\n" and "-i:9:4: error: expected an expression" in done.stderr and \
        "-i:16:8: error: expected ')'" in done.stderr and done.returncode == 0


def mistakes_keep_the_session(ktap):
    done = run(ktap, "var n = 1\nn = n + nil\nnope\nfor (\nn\nf(\n\n)\ntrace { }\nn = n + 1\nn\nexit(7)\nprint(9)\n")
    return done.stdout.splitlines()[-1] == "2" and "-i:2:5: error: '+' takes numbers" in done.stderr and \
        "'nope' is not defined" in done.stderr and done.returncode == 7


def mistakes_as_json(ktap):
    done = run(ktap, "nope\n1 + nil\n.lst\n", "--diagnostics=json")
    made = [json.loads(line) for line in done.stderr.splitlines()]
    return [(o["kind"], o.get("line")) for o in made] == [("diagnostic", 1), ("runtime-error", 2), ("error", None)]


def commands(ktap):
    done = run(ktap, ".list\ntrace_end { print(\"bye\") }\ntick-1h { }\n  .list \n.drop 2\n.list\n.drop 2\n"
                     ".drop x\n.nope\n.help\n.quit\nprint(1)\n")
    kinds = re.findall(r"^ +\d+ +line \d+ +user space +(\S+)$", done.stdout, re.M)
    return done.stdout.startswith("no handlers\n") and kinds == ["trace_end", "tick-1h", "trace_end"] and \
        done.stdout.endswith("bye\n") and done.stderr.count(".drop takes the number of a handler, 1 to 1") == 2 and \
        "there is no command '.nope'" in done.stderr and ".drop N" in done.stdout and done.returncode == 0


def ticks_run_while_the_prompt_waits(ktap):
    with subprocess.Popen([ktap, "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          bufsize=1) as process:
        process.stdin.write("var n = 0\ntrace_end { print(\"end\") }\ntick-5ms { n += 1 print(n) }\n")
        beats = [process.stdout.readline() for _ in range(3)]
        process.stdin.write("n = 100\n")  # the signal comes in before, in the midst of it or behind
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        return beats == ["1\n", "2\n", "3\n"] and rest[-1] == "end" and process.wait(TIMEOUT_S) == 0


def errors_in_handlers_count(ktap):
    with subprocess.Popen([ktap, "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, bufsize=1) as process:
        process.stdin.write("var n = 0\n"
                            "tick-2ms { n += 1 if (n == 5) { print(\"five\") } if (n <= 3) { error(\"oh\") } }\n")
        process.stdout.readline()
        _, errors = process.communicate("print(1)\n", timeout=TIMEOUT_S)
        return process.returncode == 1 and errors.count("error: oh") == 1 and "ktap: 3 errors at -i:2: oh\n" in errors


def handlers_stay_and_lose_nothing(ktap):
    """Exact counts over entries that arm everything anew, with tables and variables that only kernel code writes."""
    if os.geteuid() != 0:
        return ROOT_ONLY
    session = Piped(ktap)
    session.enter("var n = 0\nvar t = {}\ntrace syscalls:sys_enter_getppid { n += 1 t[probename, tid == 0] += 1 }")
    if not session.ready():
        return False
    call_getppid(100)
    first = session.ask("n")  # only looks: the handlers go on
    call_getppid(20)
    if session.ask("t[\"sys_enter_getppid\", false]") != "120":
        return False
    call_getppid(30)
    session.enter("trace syscalls:sys_exit_getppid { t[\"exit\"] = retval }")
    session.enter("trace_end { print(n, len(t), t[\"sys_enter_getppid\", false]) }")
    session.ready()
    call_getppid(30)
    second = session.ask("n")
    session.enter("n = 1000 t = {}")  # what handlers read is read anew
    session.ready()
    call_getppid(20)
    third = session.ask("n")
    refused = session.ask("trace sched:no_such_event { }\nn")
    output, errors, status = session.end()
    return (first, second, third, refused) == ("100", "180", "1020", "1020") and status == 0 and \
        output.splitlines()[-1] == "1020\t2\t20" and "no event matches 'sched:no_such_event'" in errors and \
        errors.count("error") == 1


def losses_are_summed(ktap):
    if os.geteuid() != 0:
        return ROOT_ONLY
    session = Piped(ktap, "--table-size=3")
    session.enter("var t = {}\ntrace syscalls:sys_enter_getppid { t[ns] = 1 }")
    for _ in range(2):
        session.ready()
        call_getppid(10)
    session.enter("t = {}")
    session.ready()
    _, errors, status = session.end()
    lost = re.findall(r"^ktap: lost (\d+) -i:2: ", errors, re.M)
    return status == 0 and len(lost) == 1 and 10 <= int(lost[0]) <= 17


class Terminal:
    """A session on a terminal of its own."""

    def __init__(self, ktap, folder):
        self.output = ""
        environment = dict(os.environ, XDG_STATE_HOME=os.path.join(folder, "state"), HOME=folder, TERM="xterm",
                           LC_ALL="C.UTF-8")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(ktap, [ktap, "-i"], environment)

    def until(self, pattern):
        """Reads until the pattern has come since the last call; what came, or None when the time is over."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            found = re.search(pattern, self.output)
            if found:
                seen, self.output = self.output[:found.end()], self.output[found.end():]
                return seen
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.output += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
        print(f"no {pattern!r} in {self.output!r}")
        return None

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def terminal_editing_and_history(ktap):
    with tempfile.TemporaryDirectory() as folder:
        first = Terminal(ktap, folder)
        steps = [("", r"ktap> $"), ("1 + 2\r", r"\r\n3\r\nktap> $"),
                 ("garbage", "garbage$"), ("\x03", r"\^C\r\nktap> $"),
                 ("var s = \"ä\x08ö\"\r", r"ktap> $"), ("s\r", r"\r\nö\r\nktap> $"),
                 ("while (true) {\r", r"  \.\.\. $"), ("}\r", r"\r\n"), ("\x03", r"interrupted\r\nktap> $"),
                 ("tick-20ms { print(\"beat\") }\r", r"beat\r\nktap> "), ("4 +", r"beat\r\nktap> 4 \+"),
                 (" 5\r", r"\r\n9\r\n"), (".drop 1\r", r"\r\nktap> $"),
                 ("trace_end { print(\"bye\") }\r", r"\r\nktap> $"),
                 ("\x04", r"bye\r\n")]
        for keys, wanted in steps:
            time.sleep(0.05 if keys == "\x03" else 0)  # the loop is to run first
            first.type(keys)
            if first.until(wanted) is None:
                first.type("\x04")
                os.kill(first.pid, signal.SIGKILL)
                first.end()
                return False
        if first.end() != 0:
            return False
        second = Terminal(ktap, folder)
        second.until(r"ktap> $")
        second.type("\x1b[A" * 9 + "\r")  # nine entries back
        again = second.until(r"\r\n\S+\r\nktap> $")
        second.type("\x04")
        history = Path(folder, "state/ktap/history")
        return second.end() == 0 and again is not None and history.stat().st_mode & 0o777 == 0o600


def options_that_do_not_go_with_it(ktap):
    return all(subprocess.run([ktap, *args], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT_S).returncode == 2
               for args in (["-i", "a.kp"], ["-i", "-e", "x = 1"], ["-e", "x = 1", "-i"], ["-i", "--", "ls"],
                            ["-i", "-C", "9999"], ["-i", "-p", "999999999"]))


CASES = [values_are_printed, variables_and_functions_stay, entries_go_on_while_open, mistakes_keep_the_session,
         mistakes_as_json, commands, ticks_run_while_the_prompt_waits, errors_in_handlers_count,
         handlers_stay_and_lose_nothing, losses_are_summed, terminal_editing_and_history,
         options_that_do_not_go_with_it]


def out_of_time(number, frame):
    raise TimeoutError(f"no end after {2 * TIMEOUT_S} seconds")


def main():
    report = Report("prompt")
    signal.signal(signal.SIGALRM, out_of_time)
    for case in CASES:
        signal.alarm(2 * TIMEOUT_S)
        try:
            report.run(case, os.path.abspath(sys.argv[1]))
        except TimeoutError:
            report.fail(case.__name__, f"no end within {2 * TIMEOUT_S} seconds")
        signal.alarm(0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
