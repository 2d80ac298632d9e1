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


def by_loop(calls):
    return {str(i): CPUS * calls for i in range(1, 4)}


def by_low_bits(calls):
    """`args.fd & 63`: each of 64 numbers as often as one of the descriptors."""
    return {str((int(FIRST) - kind) & 63): CPUS * len(range(kind, calls, KINDS)) for kind in range(KINDS)}


def samples_by_descriptor(calls):
    """Counts and sums."""
    counts = by_descriptor(calls)
    return {**counts, **{f"sum {fd}": int(fd) * count for fd, count in counts.items()}}


def samples_of_low_bits(calls):
    counts = {int(bits): count for bits, count in by_low_bits(calls).items()}
    buckets = {}
    for value, count in counts.items():
        low = 0 if value == 0 else 1 << (value.bit_length() - 1)
        buckets[f"from {low}"] = buckets.get(f"from {low}", 0) + count
    return {"count": CPUS * calls, "sum": sum(value * count for value, count in counts.items()), "min": min(counts),
            "max": max(counts), **buckets}


LOW_BITS = "args.fd & 63"
CASES = [
    Case("direct, by name", f"var h = {{}}\n{ENTER} {{ h[probename] += 1 }}\n{PRINT}", by_name, "direct"),
    Case("direct, both ends", f"var h = {{}}\n{ENTER}, syscalls:sys_exit_close {{ h[probename] += 1 }}\n{PRINT}",
         by_both_names, "direct, 2 possible keys, one area a CPU, 2 programs"),
    Case("direct, in a loop", f"var h = {{}}\n{ENTER} {{ for (i = 1, 3) {{ h[i] += 1 }} }}\n{PRINT}", by_loop,
         "direct"),
    Case("direct, taken in a tick", f"var h = {{}}\n{ENTER} {{ h[probename] += 1 }}\n{TAKE}", by_name, "direct"),
    Case("per CPU, by descriptor", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n{PRINT}", by_descriptor, "per CPU"),
    Case("per CPU, taken in a tick", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n{TAKE}", by_descriptor, "per CPU"),
    Case("per CPU, two events", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 }}\n{EXIT} {{ h[{FIRST}] += 1 }}\n{PRINT}",
         lambda calls: {**by_descriptor(calls), FIRST: by_descriptor(calls)[FIRST] + CPUS * calls},
         "per CPU, one area a CPU, 2 programs"),
    Case("per CPU, by execname", f"var h = {{}}\n{ENTER} {{ h[execname] += 1 }}\n{PRINT}", by_execname, "per CPU"),
    Case("per CPU, two keys", f"var h = {{}}\n{ENTER} {{ h[execname, args.fd] += 1 }}\n"
         "trace_end { for (a, b, v in sort_keys(h)) { print(b, v) } }", by_descriptor, "per CPU"),
    Case("per CPU, by thread", f"var h = {{}} var n = 0\n{ENTER} {{ h[tid] += 1 }}\n"
         "trace_end { for (k, v in pairs(h)) { n += v } print('n', n) }", in_all, "per CPU"),
    Case("shared", f"var h = {{}}\n{ENTER} {{ if (h[args.fd] == nil || h[args.fd] >= 0) {{ h[args.fd] += 1 }} }}\n"
         f"{PRINT}", by_descriptor, "own memory with atomics"),
    Case("shared, few keys", f"var h = {{}}\n{ENTER} {{ var k = {LOW_BITS} if (h[k] == nil || h[k] >= 0) "
         f"{{ h[k] += 1 }} }}\n{PRINT}", by_low_bits, "own memory with atomics, handlers read it, 64 possible keys"),
    Case("a slot for each thread", f"var t = {{}} var n = 0\n{ENTER} {{ t[tid] = args.fd }}\n"
         f"{EXIT} /t[tid] != nil/ {{ n += 1 t[tid] = nil }}\ntrace_end {{ print('n', n + len(t)) }}", in_all,
         "a slot for each thread"),
    Case("a hash map of the kernel", f"var h = {{}}\n{ENTER} {{ if (h[execname] == nil || h[execname] >= 0) "
         f"{{ h[execname] += 1 }} }}\n{PRINT}", by_execname, "a hash map of the kernel"),
    Case("a hash map of the kernel, taken in a tick", f"var h = {{}}\n{ENTER} {{ if (h[args.fd] == 0) {{ exit(3) }} "
         f"h[args.fd] += 1 }}\n{TAKE}", by_descriptor, "and entries are removed in user space meanwhile"),
    Case("the same, with its length", f"var h = {{}}\n{ENTER} {{ h[args.fd] += 1 "
         f"if (len(h) > {KINDS + 1}) {{ exit(3) }} }}\n{TAKE}", by_descriptor,
         "and entries are removed in user space meanwhile"),
    Case("a variable, taken in a tick", f"var n, all, taken = 0, 0, 0\n{ENTER} {{ n += 1 }}\n"
         "tick-1ms { taken += 1 all += n n = 0 }\n"
         "trace_end { if (taken < 3) { print('ticks', taken) } print('n', all + n) }", in_all, "a word"),
    Case("a variable", f"var n = 0\n{ENTER} {{ n += 1 }}\ntrace_end {{ print('n', n) }}", in_all, "a word"),
    Case("a variable, down from the other end", f"var n = 0\n{ENTER} {{ n += 2 }}\n{EXIT} {{ n -= 1 }}\n"
         "trace_end { print('n', n) }", in_all, "a word"),
    Case("aggregates by descriptor", f"var h = {{}}\n{ENTER} {{ h[args.fd] <<< args.fd }}\ntrace_end {{ "
         "for (k, v in sort_keys(h)) { print(k, count(v)) print('sum ' .. k, sum(v)) } }", samples_by_descriptor,
         "aggregates: count, sum"),
    Case("aggregates, taken in a tick", f"var h = {{}}\n{ENTER} {{ h[args.fd] <<< args.fd }}\n"
         + TAKE.replace("sums[k] += v", "sums[k] += count(v)"), by_descriptor, "aggregates: count"),
    Case("an aggregate", f"var x = aggr()\n{ENTER} {{ x <<< {LOW_BITS} }}\ntrace_end {{ print('count', count(x)) "
         "print('sum', sum(x)) print('min', min(x)) print('max', max(x)) "
         "for (k, v in pairs(hist(x))) { print('from ' .. k, v) } }", samples_of_low_bits, "counts by powers of two"),
    Case("a linear histogram", f"var x = aggr()\n{ENTER} {{ x <<< {LOW_BITS} }}\n"
         "trace_end { for (k, v in pairs(hist(x, 0, 64, 1))) { print(k, v) } }", by_low_bits, "counts from 0 to 64"),
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


def run(script, options, calls):
    load = [options.load, "cpus", str(CPUS), f"spread:{KINDS}", str(calls)]
    return subprocess.run([options.ktap, "-q", "-e", script, "--", *load], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)


def judge_lines(name, options, report):
    """What was printed and what was lost add up to what was made."""
    done = run(f"{ENTER} {{ printf(\"%d\\n\", args.fd) }}", options, options.calls)
    printed = done.stdout.count("\n")
    lost = sum(map(int, re.findall(r"^ktap: lost (\d+) .*: ring buffer full$", done.stderr, re.MULTILINE)))
    other = re.sub(r"^ktap: lost .*\n", "", done.stderr, flags=re.MULTILINE)
    if printed + lost == CPUS * options.calls and printed > 0 and done.returncode == 0 and not other:
        report.ok(f"{name}: {printed} printed, {lost} lost")
    else:
        report.fail(name, f"{printed} printed, {lost} lost, {CPUS * options.calls} made; "
                    f"exit status {done.returncode}; it said:\n{done.stderr}")


def run_with_ticks(case, options):
    """`run` with more calls while a script that reads in ticks had too few of them; how many calls that took."""
    calls = options.calls
    for _ in range(4):
        done = run(case.script, options, calls)
        if "ticks\t" not in done.stdout:
            break
        calls *= 4
    return done, calls


def judge(case, options, report):
    explained = subprocess.run([options.ktap, "--explain", "-e", case.script], capture_output=True, text=True,
                               timeout=60, check=False).stdout
    problems = []
    if "in user space: " in explained:
        problems.append("a handler runs in user space")
    if case.layout not in explained:
        problems.append(f"the plan does not say '{case.layout}':\n{explained}")
    begin = time.monotonic()
    done, calls = run_with_ticks(case, options)
    span_s = time.monotonic() - begin
    if done.returncode != 0 or done.stderr:
        problems.append(f"exit status {done.returncode}, it said:\n{done.stderr}")
    got, wanted = rows_of(done.stdout), case.rows(calls)
    if got != wanted:
        problems += describe(got, wanted, calls)
    if problems:
        report.fail(case.name, "\n".join(problems))
    else:
        report.ok(f"{case.name}: {CPUS * calls} calls in {span_s:.1f} s")


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
