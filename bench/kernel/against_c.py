#!/usr/bin/env python3
"""ktap's programs beside the same in C, compiled by `clang -O2 -target bpf` (bench/c): run time by the kernel's own
figures, whole and less an empty program's, taking turns. Of all samples of all rounds the lowest tenth counts; medians
in brackets.

Usage: against_c.py KTAP [--rounds N] [--only NAME…]
"""
import argparse
import sys
from collections import defaultdict

import harness
from harness import Attached, Driver, Ktap, middle, undisturbed

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
SAMPLES, CALLS = 40, 5000


def show(levels):
    return f"{levels[0]:.1f} ({levels[1]:.1f})"


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
                        times[what, name] += driver.stats(SAMPLES, CALLS, tracer.ids)
    print(f"{'':16}{'empty, ns':>18}{'C, ns above it':>18}{'ktap, ns above it':>20}{'above it':>10}{'ktap / C':>16}")
    for name in names:
        levels = [[level(times[what, name]) for level in (undisturbed, middle)] for what in ("floor", "C", "ktap")]
        floor, in_c, ours = levels[0], *([ns - floor for ns, floor in zip(level, levels[0])] for level in levels[1:])
        # Where a program adds a nanosecond to the empty one, the ratio of what is added says nothing.
        above = f"{ours[0] / in_c[0]:.2f}" if in_c[0] > 0 else "-"
        ratio = (floor[0] + ours[0]) / (floor[0] + in_c[0])
        verdict = f"{ratio:.2f} {'<=' if ratio <= AIM else 'OVER'} {AIM}"
        print(f"{name:16}{show(floor):>18}{show(in_c):>18}{show(ours):>20}{above:>10}{verdict:>16}")
        elsewhere = harness.in_user_space(options.ktap, SCRIPTS[name])
        if elsewhere:
            print(f"{'':16}no comparison, ktap's runs in user space: {elsewhere}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
