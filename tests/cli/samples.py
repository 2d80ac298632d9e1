#!/usr/bin/env python3
"""The tools of scripts/tools as people call them: each has --help with an example, and refuses what it does not know.
The other samples that take numbers say their usage.

Those that need a program that the kernel cases do not have (bash, getent) are run here on children of this test; all
others have a case tests/kernel/tool_NAME.case, or are named below with what they would need.

Usage: samples.py KTAP. What traces needs root; else it is skipped.
"""
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import kernel_case  # noqa: E402  (from tools/, found by the line above)
from report import Report  # noqa: E402

TOOLS = ROOT / "scripts/tools"
WITHOUT_LOAD = {"bashreadline", "gethostlatency"}  # run here
TIMEOUT_S = 120


def run(ktap, tool, *words):
    return subprocess.run([ktap, "-q", TOOLS / f"{tool}.kp", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False)


def tools():
    return sorted(path.stem for path in TOOLS.glob("*.kp"))


def help_of_each(ktap):
    good = len(tools()) >= 41
    for tool in tools():
        done = run(ktap, tool, "--help")
        lines = done.stdout.split("\n")
        if done.returncode != 0 or done.stderr or not done.stdout.startswith(f"NAME\n    {tool} - ") or \
                "USAGE" not in lines or "EXAMPLE" not in lines or max(map(len, lines)) > 120:
            print(f"{tool} --help: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    return good


def is_refused(done, tool):
    return done.returncode == 2 and not done.stdout and \
        re.fullmatch(rf"{tool}: .+\nusage: ktap (\[-T\] )?{tool}\.kp.* \(--help says more\)\n", done.stderr)


def wrong_arguments(ktap):
    """A tool that looks at its arguments says what is wrong with one, and ends with 2; all refuse those that are too
    many."""
    wrong = {"argdist": ["syscalls:sys_exit_read", "twelve"], "stackcount": ["sched:sched_switch", "soon"],
             "biosnoop": None, "mdflush": None, "naptime": None, "oomkill": None, "setuids": None, "syncsnoop": None,
             "tcpaccept": None, "tcpconnect": None, "tcpdrop": None, "tcplife": None, "tcpretrans": None,
             "threadsnoop": None, "undump": None,  # no arguments at all
             "execsnoop": ["-1"]}
    good, asked = True, 0
    for tool in tools():
        words = wrong.get(tool, ["--wrong"])
        for given in [words, ["-p", "-x", "1", "2", "3", "4"], ["more"] * 6]:
            if given is None:
                continue
            done = run(ktap, tool, *given)
            asked += 1
            if not is_refused(done, tool):
                print(f"{tool} {given}: {done.returncode}\n{done.stdout}{done.stderr}")
                good = False
    return good and asked > 100


def numbers_that_are_none(ktap):
    """A tool that takes SECONDS takes no other number of them, and no number for a name."""
    good, takers = True, [tool for tool in tools() if "SECONDS" in (TOOLS / f"{tool}.kp").read_text() and
                          tool != "fileslower"]
    before = {"funccount": ["vfs_read"], "funclatency": ["vfs_read"], "stackcount": ["sched:sched_switch"],
              "argdist": ["syscalls:sys_exit_read", "1"]}
    for tool in takers:
        for number in ("0", "-1", "1.5"):
            done = run(ktap, tool, *before.get(tool, []), number)
            if not is_refused(done, tool) or not done.stderr.startswith(
                    f"{tool}: SECONDS is a whole number from 1 on, not {number}\n"):
                print(f"{tool} {number}: {done.returncode}\n{done.stdout}{done.stderr}")
                good = False
    for tool, words, text in (("stackcount", ["-1"], "EVENT is the name of an event, not -1"),
                              ("stackcount", ["-u", "7"], "EVENT is the name of an event, not 7"),
                              ("argdist", ["-1"], "EVENT is the name of an event, not -1"),
                              ("killsnoop", ["-1"], "SIGNAL is a whole number from 0 to 64, not -1"),
                              ("killsnoop", ["999"], "SIGNAL is a whole number from 0 to 64, not 999"),
                              ("funccount", ["-1"], "PATTERN is a function's name or a glob, not -1"),
                              ("funclatency", ["-n"], "PATTERN is a function's name or a glob, not -n"),
                              ("trace", ["12"], "EVENT is the name of an event, not 12"),
                              ("fileslower", ["-1"], "MILLISECONDS is a whole number from 0 on, not -1"),
                              ("execsnoop", ["5"], "NAME is a program's file or a glob, not 5"),
                              ("bashreadline", ["-1"], "PATH is a program or library, not -1"),
                              ("gethostlatency", [""], "LIBC is a library, not ")):
        done = run(ktap, tool, *words)
        if not is_refused(done, tool) or not done.stderr.startswith(f"{tool}: {text}\n"):
            print(f"{tool} {words}: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    return good and len(takers) > 15


def one_argument_too_many(ktap):
    """Of those that take options before SECONDS, also where there is room for one."""
    good = True
    for tool, words in (("argdist", ["syscalls:sys_exit_read", "1", "1", "bogus"]), ("profile", ["1", "1"]),
                        ("profile", ["1", "1", "1"]), ("syscount", ["1", "1", "1"]), ("offcputime", ["1", "1"]),
                        ("biolatency", ["1", "1"]), ("cpudist", ["1", "1"]), ("runqlat", ["1", "1"]),
                        ("stackcount", ["sched:sched_switch", "1", "1"])):
        done = run(ktap, tool, *words)
        if not is_refused(done, tool) or f": too many arguments: {words[-1]}\n" not in done.stderr:
            print(f"{tool} {words}: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    return good


def options_behind_seconds(ktap):
    """Options may stand behind what they go with; and those that do not go together are named."""
    if reason := kernel_case.cannot_trace():
        return reason
    good = True
    for tool, words in (("argdist", ["syscalls:sys_exit_read", "-H"]), ("biolatency", ["1", "-d"]),
                        ("biolatency", ["1", "-t"]), ("cpudist", ["1", "-p"]), ("offcputime", ["1", "-f"]),
                        ("profile", ["1", "-f"]), ("runqlat", ["1", "-p"]), ("syscount", ["1", "-l"]),
                        ("stackcount", ["sched:sched_switch", "-u"])):
        done = run(ktap, tool, *words, "--", "true")
        told = "" if done.stderr.startswith("profile: no sample") else done.stderr
        if done.returncode != 0 or told:
            print(f"{tool} {words}: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    done = run(ktap, "biolatency", "-d", "-t", "1")
    return good and is_refused(done, "biolatency") and ": -d and -t do not go together\n" in done.stderr


def nothing_before_a_mistake(ktap):
    """Those that print each second begin when it is known that the kernel has their functions."""
    if reason := kernel_case.cannot_trace():
        return reason
    good = True
    for tool in ("cachestat", "vfsstat", "swapin"):
        done = run(ktap, tool, "1")
        if done.returncode == 0:
            return "this kernel can trace its functions"
        if done.returncode != 2 or done.stdout or "error: " not in done.stderr:
            print(f"{tool}: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    return good


def each_has_a_case(_):
    without = [tool for tool in tools() if tool not in WITHOUT_LOAD and
               not (ROOT / f"tests/kernel/tool_{tool}.case").is_file()]
    if without:
        print("no case: " + " ".join(without))
    return not without


def samples_say_their_usage(ktap):
    """Those outside of tools/ that take SECONDS, and their kin."""
    good, takers = True, []
    for path in sorted((ROOT / "scripts").rglob("*.kp")):
        usage = re.search(r'warn\("(usage: ktap (\S+) \[.*\])"\)', path.read_text())
        if path.parent == TOOLS or not usage:
            continue
        takers.append(path)
        before = ["sched:*"] if "[EVENTS " in usage.group(1) else []
        wrong = [["./deep"]] if path.stem == "uprobes_malloc" else \
            [[*before, number] for number in ("0", "-1", "1.5", "abc")] + [["--help"]]
        for words in wrong:
            done = subprocess.run([ktap, "-q", path, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=TIMEOUT_S, check=False)
            if done.returncode != 2 or done.stdout or done.stderr != usage.group(1) + "\n" or \
                    usage.group(2) != path.name:
                print(f"{path.name} {words}: {done.returncode}\n{done.stdout}{done.stderr}")
                good = False
    return good and len(takers) >= 14


def bash_lines(ktap):
    """bashreadline, on a bash of our own at a pseudo-terminal."""
    if reason := kernel_case.cannot_trace():
        return reason
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/bash", ["bash", "--norc", "-i"])
    tracer = subprocess.Popen([ktap, "-p", str(pid), TOOLS / "bashreadline.kp"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    try:
        tracer.stderr.readline()  # armed
        time.sleep(0.5)
        os.write(terminal, b"\necho one-two\nexit\n")
        stdout, _ = tracer.communicate(timeout=TIMEOUT_S)
    finally:
        tracer.kill()
        os.close(terminal)
        os.waitpid(pid, 0)
    return f"{pid:7} {0:6} echo one-two\n" in stdout


def host_names(ktap):
    """gethostlatency, on getent."""
    if reason := kernel_case.cannot_trace():
        return reason
    if not shutil.which("getent"):
        return "there is no getent"
    done = run(ktap, "gethostlatency", "--", "getent", "ahosts", "localhost")
    return re.search(r"^ *\d+ getent +\d+\.\d{3} localhost$", done.stdout, re.M) is not None


CONNECTIONS = """
import socket
for family, at, to in ((socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1"),
                       (socket.AF_INET6, "::", "127.0.0.1")):
    listener = socket.socket(family)
    listener.bind((at, 0))
    listener.listen()
    there = socket.create_connection((to, listener.getsockname()[1]))
    here, _ = listener.accept()
    there.close()
    here.close()
    listener.close()
"""


def addresses_as_people_write_them(ktap):
    """Of both versions, and of version 4 at a socket of version 6."""
    if reason := kernel_case.cannot_trace():
        return reason
    if not Path("/proc/net/if_inet6").is_file() or "lo" not in Path("/proc/net/if_inet6").read_text():
        return "there is no ::1"
    good = True
    for tool, column, wanted in (("tcpaccept", 2, ["127.0.0.1", "::1", "::ffff:127.0.0.1"]),
                                 ("tcpconnect", 2, ["127.0.0.1", "::1", "127.0.0.1"])):
        done = run(ktap, tool, "--", sys.executable, "-c", CONNECTIONS)
        found = [line.split()[column] for line in done.stdout.splitlines()[1:]]
        if found != wanted:
            print(f"{tool}: {done.returncode}\n{done.stdout}{done.stderr}")
            good = False
    return good


USER_SAMPLES = {"basic/memcpy_memset": r"\|@", "userspace/gcc_unwind": "",
                "userspace/glibc_func_hist": r"^ +str\w+ \|@",
                "userspace/glibc_trace": r"^ls\t\d+\tf\w+$", "userspace/malloc_free": r"^ls +\d+ malloc\(\d+\)$",
                "userspace/malloc_size_hist": r"\|@", "userspace/pthread": r"^FUNCTION +MUTEX +CALLS$",
                "userspace/uprobes_malloc": r"^entry:\tls\t\d+\tmalloc$"}


def user_samples(ktap):
    """Those that trace a library, on `ls`."""
    if reason := kernel_case.cannot_trace():
        return reason
    good = True
    for name, pattern in USER_SAMPLES.items():
        done = subprocess.run([ktap, "-q", ROOT / f"scripts/{name}.kp", "--", "ls", "-l", "/etc"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode != 0 or not re.search(pattern, done.stdout, re.M):
            print(f"{name}: {done.returncode}\n{done.stdout[-500:]}{done.stderr[-500:]}")
            good = False
    return good


def main():
    report = Report("samples")
    ktap = str(Path(sys.argv[1]).resolve())
    for case in (help_of_each, wrong_arguments, numbers_that_are_none, one_argument_too_many,
                 options_behind_seconds, nothing_before_a_mistake, each_has_a_case,
                 samples_say_their_usage, bash_lines, host_names, addresses_as_people_write_them, user_samples):
        report.run(case, ktap)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
