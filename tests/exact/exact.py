#!/usr/bin/env python3
"""Counts are exact: two CPUs make calls at full rate, and every count by every kind of key equals what was made.

The load's own number of calls is the truth (`cpus 2 spread:K N` of tests/kernel/load.c: N closes on each CPU, of the
descriptors -1 to -K in turns). A script for each way in which ktap keeps numbers; some read and delete meanwhile.
Needs root and eBPF; else every case is skipped.

Usage: exact.py --ktap KTAP --load LOAD [--calls N] [--only PART] [--name NAME]
"""
import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402  pylint: disable=wrong-import-position

CPUS = 2
KINDS = 64
FIRST = str(2 ** 32 - 1)      # -1 as a descriptor, which the kernel declares unsigned
TIMEOUT_S = 600
LINES = "lines and losses"
ENTER = "trace syscalls:sys_enter_close"
EXIT = "trace syscalls:sys_exit_close"
PRINT = "trace_end { for (k, v in sort_keys(h)) { print(k, v) } }"
# Reads and deletes while the load runs; what was read is added up.
TAKE = """
var sums = {}
var taken = 0
function take() {
  taken += 1
  for (k, v in pairs(h)) { sums[k] += v }
  delete(h)
}
tick-2ms { take() }
trace_end {
  if (taken < 3) { print("ticks", taken) }
  take()
  for (k, v in sort_keys(sums)) { print(k, v) }
}"""


class Case:
    """`rows` makes of (calls of each CPU) what must come out: {key: count}; `layout` must be in the plan."""

    def __init__(self, name, script, rows, layout):
        self.name, self.script, self.rows, self.layout = name, script, rows, layout


def by_name(calls):
    return {"sys_enter_close": CPUS * calls}


def by_both_names(calls):
    return {"sys_enter_close": CPUS * calls, "sys_exit_close": CPUS * calls}


def by_descriptor(calls):
    return {str(int(FIRST) - kind): CPUS * len(range(kind, calls, KINDS)) for kind in range(KINDS)}


def by_execname(calls):
    return {"load": CPUS * calls}


def in_all(calls):
    return {"n": CPUS * calls}


CASES = [
    Case("by name", f"var h = {{}}\n{ENTER} {{ h[probename] += 1 }}\n{PRINT}", by_name, ""),
    Case("by name, both ends", f"var h = {{}}\n{ENTER}, syscalls:sys_exit_close {{ h[probename] += 1 }}\n{PRINT}",
         by_both_names, ""),
    Case("by name, taken in a tick", f"var h = {{}}\n{ENTER} {{ h[probename] += 1 }}\n{TAKE}", by_name, ""),
    Case("by descriptor", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n{PRINT}", by_descriptor, ""),
    Case("by descriptor, taken in a tick", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n{TAKE}", by_descriptor, ""),
    Case("by descriptor, two events", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n"
         f"{EXIT} {{ h[{FIRST}] += 1 }}\n{PRINT}",
         lambda calls: {**by_descriptor(calls), FIRST: by_descriptor(calls)[FIRST] + CPUS * calls}, ""),
    Case("by execname", f"var h = {{}}\n{ENTER} {{ h[execname] += 1 }}\n{PRINT}", by_execname, ""),
    Case("by two keys", f"var h = {{}}\n{ENTER} {{ h[execname, args.fd] += 1 }}\n"
         "trace_end { for (a, b, v in sort_keys(h)) { print(b, v) } }", by_descriptor, ""),
    Case("read back", f"var h = {{}}\n{ENTER} {{ if (h[args.fd] == nil || h[args.fd] >= 0) {{ h[args.fd] += 1 }} }}\n"
         f"{PRINT}", by_descriptor, ""),
    Case("by thread", f"var h = {{}} var n = 0\n{ENTER} {{ h[tid] += 1 }}\n"
         "trace_end { for (k, v in pairs(h)) { n += v } print('n', n) }", in_all, ""),
    Case("a variable", f"var n = 0\n{ENTER} {{ n += 1 }}\ntrace_end {{ print('n', n) }}", in_all, ""),
    Case("a variable, down from the other end", f"var n = 0\n{ENTER} {{ n += 2 }}\n{EXIT} {{ n -= 1 }}\n"
         "trace_end { print('n', n) }", in_all, ""),
]


def rows_of(text):
    return {key: int(count) for key, count in re.findall(r"^(.*)\t(-?\d+)$", text, re.MULTILINE)}


def describe(got, wanted, calls):
    lines = []
    for key in sorted(set(got) | set(wanted)):
        if got.get(key) != wanted.get(key):
            lines.append(f"{key}: {got.get(key, 'absent')}, not {wanted.get(key, 'there')}")
    if len(lines) > 8:
        lines[8:] = [f"… {len(lines)} in all"]
    return [f"with {calls} calls on each CPU:"] + lines


def run(script, options):
    load = [options.load, "cpus", str(CPUS), f"spread:{KINDS}", str(options.calls)]
    return subprocess.run([options.ktap, "-q", "-e", script, "--", *load], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)


def judge_lines(name, options, report):
    """What was printed and what was lost add up to what was made."""
    done = run(f"{ENTER} {{ printf(\"%d\\n\", args.fd) }}", options)
    printed = done.stdout.count("\n")
    lost = sum(map(int, re.findall(r"^ktap: lost (\d+) .*: ring buffer full$", done.stderr, re.MULTILINE)))
    other = re.sub(r"^ktap: lost .*\n", "", done.stderr, flags=re.MULTILINE)
    if printed + lost == CPUS * options.calls and printed > 0 and done.returncode == 0 and not other:
        report.ok(f"{name}: {printed} printed, {lost} lost")
    else:
        report.fail(name, f"{printed} printed, {lost} lost, {CPUS * options.calls} made; "
                    f"exit status {done.returncode}; it said:\n{done.stderr}")


def judge(case, options, report):
    explained = subprocess.run([options.ktap, "--explain", "-e", case.script], capture_output=True, text=True,
                               timeout=60, check=False).stdout
    problems = []
    if "in user space: " in explained:
        problems.append("a handler runs in user space")
    if case.layout not in explained:
        problems.append(f"the plan does not say '{case.layout}':\n{explained}")
    begin = time.monotonic()
    done = run(case.script, options)
    span_s = time.monotonic() - begin
    if done.returncode != 0 or done.stderr:
        problems.append(f"exit status {done.returncode}, it said:\n{done.stderr}")
    got, wanted = rows_of(done.stdout), case.rows(options.calls)
    if got != wanted:
        problems += describe(got, wanted, options.calls)
    if problems:
        report.fail(case.name, "\n".join(problems))
    else:
        report.ok(f"{case.name}: {CPUS * options.calls} calls in {span_s:.1f} s")


def cannot_run():
    if os.geteuid() != 0:
        return "needs root"
    if len(os.sched_getaffinity(0)) < CPUS:
        return f"needs {CPUS} CPUs"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ktap", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--calls", type=int, default=1000000, help="by each CPU")
    parser.add_argument("--only", default="")
    parser.add_argument("--name", default="")
    options = parser.parse_args()
    report = Report(options.name)
    for case in CASES:
        if options.only not in case.name:
            continue
        if cannot_run():
            report.skip(case.name, cannot_run())
        else:
            judge(case, options, report)
    if options.only in LINES:
        if cannot_run():
            report.skip(LINES, cannot_run())
        else:
            judge_lines(LINES, options, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
