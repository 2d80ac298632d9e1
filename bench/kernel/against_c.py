#!/usr/bin/env python3
"""ktap's programs beside the same in C, compiled by `clang -O2 -target bpf` (bench/c): run time by the kernel's own
figures, less an empty program's, taking turns.

Usage: against_c.py KTAP [--rounds N] [--only NAME…]
"""
import argparse
import sys
from collections import defaultdict

import harness
from harness import Attached, Driver, Ktap, middle, spread

ENTER = "trace raw_syscalls:sys_enter"
EXIT = "trace raw_syscalls:sys_exit"
SCRIPTS = {
    "count_number": f"var h = {{}} {ENTER} {{ h[args.id] += 1 }}",
    "count_execname": f"var h = {{}} {ENTER} {{ h[execname] += 1 }}",
    "latency": f"var s = {{}} var h = aggr() {ENTER} {{ s[tid] = ns }} "
               f"{EXIT} /s[tid] != nil/ {{ h <<< ns - s[tid]; s[tid] = nil }} trace_end {{ print(hist(h)) }}",
    "loop": f"""
var total = 0
{ENTER} {{
  var x = args.id
  var sum = 0
  for (i = 1, 64) {{
    x = x * 5 + i
    if ((x & 1) != 0) {{ sum += x & 255 }} else {{ sum ^= x >> 3 }}
    if (sum > 1000000) {{ sum -= 999999 }}
  }}
  total += sum
}}
trace_end {{ print(total) }}""",
    "filter": f"""
var total = 0
{ENTER} /args.id >= 100 && args.id <= 200 && args.id != 150 && args.id != 151 && execname == "driver"/ {{ total += 1 }}
trace_end {{ print(total) }}""",
}
AIM = 1.1
CALLS = 20000
SAMPLES = 9


def run_ns(driver, tracer):
    """ns that the programs of one event took, both ends together."""
    samples = []
    for _ in range(SAMPLES):
        figures = driver.stats(CALLS, tracer.ids)
        samples.append(sum(ns / runs for runs, ns in figures if runs > 0))
    return middle(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    if harness.cannot_run():
        harness.skip(harness.cannot_run())
    names = options.only or list(SCRIPTS)
    times = defaultdict(list)
    with harness.scratch_folder() as folder, Driver(options.ktap) as driver:
        objects = harness.compile_bpf(folder)
        for _ in range(options.rounds):
            for name in names:
                floor = "empty_both" if name == "latency" else "empty_enter"
                for what, context in (("floor", Attached(options.ktap, objects[floor])),
                                      ("C", Attached(options.ktap, objects[name])),
                                      ("ktap", Ktap(options.ktap, SCRIPTS[name]))):
                    with context as tracer:
                        times[what, name].append(run_ns(driver, tracer))
    print(f"{'':16}{'empty, ns':>22}{'C, ns above it':>22}{'ktap, ns above it':>22}{'ktap / C':>16}")
    for name in names:
        floor = times["floor", name]
        in_c = [ns - least for ns, least in zip(times["C", name], floor)]
        ours = [ns - least for ns, least in zip(times["ktap", name], floor)]
        elsewhere = harness.in_user_space(options.ktap, SCRIPTS[name])
        ratio = middle(ours) / middle(in_c) if middle(in_c) > 0 else float("inf")
        verdict = f"{ratio:.2f} {'<=' if ratio <= AIM else 'OVER'} {AIM}"
        print(f"{name:16}{spread(floor):>22}{spread(in_c):>22}{spread(ours):>22}{verdict:>16}")
        if elsewhere:
            print(f"{'':16}no comparison, ktap's runs in user space: {elsewhere}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
