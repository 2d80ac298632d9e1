#!/usr/bin/env python3
"""ktap list and ktap doctor (tests/cli/listing.py KTAP [LOAD]): as root over this machine's events, else without
privileges; as root also once as the user nobody."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

failures = []
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def expect(what, holds, shown=""):
    if not holds:
        failures.append(f"{what}: {shown!r}")


def lists(ktap):
    begin = time.monotonic()
    everything = run(ktap, "list")
    took_ms = 1000 * (time.monotonic() - begin)
    lines = everything.stdout.splitlines()
    expect("list", everything.returncode == 0 and lines == sorted(lines) and len(lines) > 100, everything.stderr)
    for name in ("sched:sched_switch", "syscalls:sys_exit_read", "software:page-faults", "cache:LLC-loads"):
        expect(f"list has {name}", name in lines)
    expect("list is quick", took_ms < 2000, took_ms)  # 20 ms; far off, for a machine under load
    expect("-le is list", run(ktap, "-le", "sched:*").stdout == run(ktap, "list", "sched:*").stdout)
    expect("-le -v is list -v", run(ktap, "-le", "-v", "sched:sched_switch").stdout ==
           run(ktap, "list", "-v", "sched:sched_switch").stdout)
    found = run(ktap, "list", "-v", "syscalls:sys_enter_openat").stdout.splitlines()
    expect("arguments", found[:1] == ["syscalls:sys_enter_openat"] and "    arg1  int dfd" in found, found)
    found = [json.loads(line) for line in run(ktap, "list", "--json", "sched:sched_switch").stdout.splitlines()]
    expect("json", len(found) == 1 and found[0]["event"] == "sched:sched_switch" and
           {"name": "prev_pid", "type": "pid_t"} in found[0]["args"], found)
    for words, hint in ((("sched:sched_swich",), "the nearest: sched:sched_switch"),
                        (("opnat",), "syscalls:sys_enter_openat"), (("nope:x",), "there is no subsystem 'nope'"),
                        (("probe:libc.so.6:mallo",), "the nearest: probe:libc.so.6:malloc"),
                        (("a", "b"), "takes one GLOB"),
                        (("mem:*",), "written, not listed: mem:ADDRESS"), (("profile*",), "not listed: profile-99hz"),
                        (("tick-*",), "written, not listed"), (("[",), "nothing closes its '['"),
                        (("a{b",), "nothing closes its '{'"), (("sched:[",), "nothing closes its '['"),
                        (("--jsn",), "did you mean '--json'?"),
                        (("probe:libc.so.6:malloc%return",), "returns are written, not listed")):
        wrong = run(ktap, "list", *words)
        expect(f"list {words}", wrong.returncode == 2 and not wrong.stdout and hint in wrong.stderr, wrong.stderr)


def functions(ktap):
    found = run(ktap, "list", "probe:libc.so.6:mallo*").stdout
    expect("functions of a library", ":malloc\n" in found, found)
    expect("-lf", ":malloc\n" in run(ktap, "-lf", "libc.so.6").stdout)
    found = run(ktap, "list", "function:vfs_rea*")
    there = "function:vfs_read\n" in found.stdout or "cannot trace its functions" in found.stderr
    expect("the function trace", there or os.geteuid() != 0, found.stdout + found.stderr)
    wrong = run(ktap, "-lm", ktap)
    expect("-lm", wrong.returncode == 2 and "has no markers" in wrong.stderr, wrong.stderr)


def options_before_commands(ktap):
    for words in (("-q", "list", "software:page-faults"), ("-v", "--diagnostics=text", "list", "software:page-faults")):
        found = run(ktap, *words)
        expect(f"{words}", found.returncode == 0 and found.stdout.startswith("software:page-faults"), found.stderr)


def arguments(ktap, load):
    function = f"probe:{load}:typed_fast"
    names = ["__probe_ip", "a", "s", "o", "d", "small", "six", "seven", "eight", "nine"]
    found = run(ktap, "list", "-v", function).stdout.splitlines()[1:]
    expect("a pointer to text is one argument", [line.split()[-1] for line in found] == names, found)
    found = json.loads(run(ktap, "list", "--json", function).stdout)
    expect("in JSON too", [argument["name"] for argument in found["args"]] == names, found)
    mark = f"sdt:{load}:load:places"
    found = run(ktap, "list", "-v", mark).stdout.splitlines()
    expect("arguments of a marker", found[:3] == [mark, "    arg1  u64", "    arg2  s32"] and
           "    at another place:" in found, found)
    found = json.loads(run(ktap, "list", "--json", mark).stdout)
    expect("of a marker in JSON", {"name": "arg2", "type": "s32"} in found["args"], found)


def names_with_blanks(ktap, load):
    """A path that is there may have blanks and colons; what is listed can be traced."""
    with tempfile.TemporaryDirectory(prefix="ktap names_") as folder:
        for name in ("a b", "c:d", "e f:g h"):
            path = f"{folder}/{name}"
            shutil.copy(load, path)
            function, mark = f"probe:{path}:probed_half", f"sdt:{path}:load:guarded"
            for event in (function, mark):
                found = run(ktap, "list", event)
                expect(f"{event} is listed", found.stdout == event + "\n", found.stdout + found.stderr)
            if os.geteuid() == 0:
                for event in (function, mark):
                    for script in (f'trace {event} {{ exit() }}', f'trace "{event}" function (e) {{ exit() }}'):
                        tried = run(ktap, "-q", "-d", "-e", script)
                        expect(f"{script} can be traced", tried.returncode == 0, tried.stderr)


CXX_NAMES = ["Pool::give(char const*) const", "Pool::give(char const**) const", "Pool::operator unsigned long",
             "Pool::operator()", "Pool::operator+", "Pool::operator->", "Pool::operator<", "Pool::operator[]",
             "Pool::take(int)", "Pool::take(long)", "Table<int, char>::find",
             "Table<int, std::map<int, long, std::less<int>, std::allocator<std::pair<int const, long> > >*>::find",
             "called<main::{lambda(int)#1}>", "operator,", "part"]


def names_of_cxx(ktap, is_root):
    """What is listed can be pasted behind `trace`, and means that function."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        print("skipped: names of C++ (there is no compiler)")
        return
    with tempfile.TemporaryDirectory(prefix="ktap_names_") as folder:
        program = f"{folder}/program"
        source = Path(__file__).parent / "cxx_names.cc"
        subprocess.run([compiler, "-std=c++17", "-O1", "-w", "-o", program, str(source)],
                       check=True, timeout=120)
        found = run(ktap, "list", f"probe:{program}:load::*").stdout.splitlines()
        wanted = [f"probe:{program}:load::{name}" for name in CXX_NAMES]
        expect("names of C++ as people write them", found == wanted, found)
        for name, symbol in (("Pool::take(int)", "_ZN4load4Pool4takeEi"), ("part", "_ZN4load4partEi.part.0")):
            one = f"probe:{program}:load::{name}"
            lines = run(ktap, "list", "-v", one).stdout.splitlines()
            expect(f"-v of {name}", lines[:1] == [f"{one}  {symbol}"], lines)
            row = json.loads(run(ktap, "list", "--json", one).stdout)
            expect(f"--json of {name}", [place["symbol"] for place in row["places"]] == [symbol], row)
        wrong = run(ktap, "list", f"probe:{program}:load::Table::find")
        suggests = f"the nearest: probe:{program}:load::Table<int, char>::find" in wrong.stderr
        expect("a template without its arguments", suggests, wrong.stderr)
        if not is_root:
            return
        rounds = 7
        wanted.append(f"probe:{program}:load::part(int) [clone .part.0]")
        wanted.append(f"probe:{program}:load::*<int, *>::find")
        script = "var n = {}\n"
        for at, name in enumerate(wanted):
            script += f'trace {name} {{ n[{at}] += 1; n["in all"] += 1 }}\n'
        script += "trace_end { for (k, v in sort_keys(n)) { print(k, v) } }\n"
        Path(f"{folder}/script.kp").write_text(script, encoding="utf-8")
        traced = run(ktap, "-q", f"{folder}/script.kp", "--", program, str(rounds))
        counts = [(str(at), rounds) for at in range(len(CXX_NAMES))]
        counts += [(str(len(CXX_NAMES)), rounds), (str(len(CXX_NAMES) + 1), 2 * rounds)]
        counts.append(("in all", rounds * (len(CXX_NAMES) + 3)))
        rows = [line.split("\t") for line in traced.stdout.splitlines()]
        expect("what is listed traces that function", sorted((key, int(n)) for key, n in rows) == sorted(counts),
               traced.stdout + traced.stderr)
        formatted = run(ktap, "fmt", f"{folder}/script.kp").stdout
        expect("the formatter leaves names alone", all(f"trace {name} {{" in formatted for name in wanted), formatted)
        wrong = run(ktap, "--explain", "-e", f"trace probe:{program}:load::*<int, probe:{program}:*>::find {{ }}")
        expect("a comma between brackets of two names", wrong.returncode == 2, wrong.stderr)
        wrong = run(ktap, "--explain", "-e", f"trace probe:{program}:load::*<int, c*::find {{ }}")
        expect("a bracket that is not closed", "write ? for a comma of the name" in wrong.stderr, wrong.stderr)


def as_nobody(ktap):
    readable = run(*NOBODY, "test", "-x", ktap).returncode == 0
    if not readable:
        print("skipped: ktap as nobody (the folder is not open to others)")
        return
    found = run(*NOBODY, ktap, "list", "*openat")
    expect("list as nobody", found.returncode == 0 and "syscalls:sys_enter_openat\n" in found.stdout and
           "tracepoints are left out" in found.stderr, found.stderr)
    found = run(*NOBODY, ktap, "list", "sched:*")
    expect("what nobody may not list is not said to be missing", found.returncode == 2 and
           found.stderr.endswith("nothing else matches 'sched:*'\n"), found.stderr)
    found = run(*NOBODY, ktap, "-e", "trace sched:sched_switch { exit() }")
    expect("a tracepoint as nobody", found.returncode == 2 and "tracing needs root" in found.stderr and
           "mount" not in found.stderr, found.stderr)
    found = run(*NOBODY, ktap, "doctor")
    expect("doctor as nobody", found.returncode == 1 and "No event can be traced here." in found.stdout and
           "tracing needs root" in found.stdout, found.stdout)
    by_capability(ktap)


def by_capability(ktap):
    """Nobody with all that eBPF wants: probes of programs work, tracefs is not to be read."""
    able = [*NOBODY, "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", ktap]
    rows = [json.loads(line) for line in run(*able, "doctor", "--json").stdout.splitlines()]
    works = {row["check"]: row["works"] for row in rows[:-1]}
    if works["user functions, many at once"]:
        expect("markers are tried as they are traced", works["markers (sdt) with semaphores"], rows)
    if not works["tracefs"]:
        found = run(*able, "-q", "--follow", "-e", "trace profile-1s { exit() }", "--", "true")
        expect("--follow says what it lacks", found.returncode != 0 and "tracefs" in found.stderr, found.stderr)


def doctor(ktap, is_root):
    found = run(ktap, "doctor")
    rows = [json.loads(line) for line in run(ktap, "doctor", "--json").stdout.splitlines()]
    works = {row["check"]: row["works"] for row in rows[:-1]}
    expect("the rows", len(works) > 15 and rows[-1]["traces"] == (found.returncode == 0), rows[-1])
    for name, holds in works.items():
        answer = "?  " if holds is None else "yes" if holds else "no "
        expect(f"text and JSON agree on {name}", f"  {answer}  {name}" in found.stdout)
    for row in rows[:-1]:
        if row["check"] in ("override(), e.set_retval()", "kernel functions, many at once"):
            in_words = not any(word in row["note"] for word in ("invalid argument", "not supported"))
            expect(f"{row['check']}: what lacks is said in words", in_words, row["note"])
    if is_root:
        expect("doctor traces here", found.returncode == 0 and works["tracepoints, system calls (raw)"], found.stdout)
        traced = run(ktap, "-q", "-e", "trace syscalls:sys_enter_getppid { exit() } tick-1ms { exit() }")
        expect("what it says holds", traced.returncode == 0, traced.stderr)
    expect("doctor takes --json alone", run(ktap, "doctor", "x").returncode == 2)


def main():
    ktap = str(Path(sys.argv[1]).resolve())
    is_root = os.geteuid() == 0
    functions(ktap)
    if len(sys.argv) > 2 and sys.argv[2]:
        arguments(ktap, Path(sys.argv[2]).resolve())
        names_with_blanks(ktap, Path(sys.argv[2]).resolve())
    names_of_cxx(ktap, is_root)
    options_before_commands(ktap)
    doctor(ktap, is_root)
    if is_root:
        lists(ktap)
        as_nobody(ktap)
    else:
        print("skipped: tracepoints (needs root)")
    for failure in failures:
        print("FAIL", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
