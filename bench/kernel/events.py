#!/usr/bin/env python3
"""What tracing adds to a system call: nothing attached, an empty program, ktap and bpftrace, taking turns.

The driver's loop is measured with nothing attached before and after each of them; what is added is the difference.
Both tools see every process's calls; the printing ones are for the driver's alone. Printed: ns added to a call
(median and middle half over the rounds), beside the empty program's and bpftrace's in the same rounds.
Usage: events.py KTAP [--rounds N] [--only NAME…] [--no-peer]
"""
import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass

import harness
from harness import Attached, Bpftrace, Driver, Ktap, Nothing, middle, spread

ENTER = "trace raw_syscalls:sys_enter"
EXIT = "trace raw_syscalls:sys_exit"
BT_ENTER = "tracepoint:raw_syscalls:sys_enter"
BT_EXIT = "tracepoint:raw_syscalls:sys_exit"


@dataclass
class OneLiner:
    name: str
    ktap: str
    bpftrace: str
    floor: str             # the empty program that it is compared with
    of_floor: float        # at most so many times the floor; None: no such aim
    of_peer: float         # at most so many times bpftrace
    prints: bool = False    # of the driver's calls alone, into a file; the calls come in bursts


ONE_LINERS = [
    OneLiner("count by number", f"var h = {{}} {ENTER} {{ h[args.id] += 1 }}",
             f"{BT_ENTER} {{ @[args->id] = count(); }}", "empty_enter", 1.2, 0.45),
    OneLiner("count by execname", f"var h = {{}} {ENTER} {{ h[execname] += 1 }}",
             f"{BT_ENTER} {{ @[comm] = count(); }}", "empty_enter", 1.2, 0.45),
    OneLiner("histogram", f"var h = aggr() {ENTER} {{ h <<< args.id }} trace_end {{ print(hist(h)) }}",
             f"{BT_ENTER} {{ @ = hist(args->id); }}", "empty_enter", 1.2, 0.45),
    OneLiner("printf", f'{ENTER} {{ printf("%d %d\\n", pid, args.id) }}',
             f'{BT_ENTER} /pid == PID/ {{ printf("%d %d\\n", pid, args->id); }}', "empty in bursts", 2, 0.05, True),
    OneLiner("latency by tid",
             f"var s = {{}} var h = aggr() {ENTER} {{ s[tid] = ns }} "
             f"{EXIT} /s[tid] != nil/ {{ h <<< ns - s[tid]; s[tid] = nil }} trace_end {{ print(hist(h)) }}",
             f"{BT_ENTER} {{ @s[tid] = nsecs; }} "
             f"{BT_EXIT} /@s[tid]/ {{ @ = hist(nsecs - @s[tid]); delete(@s[tid]); }}", "empty_both", None, 0.45),
]

FLOORS = ("empty_enter", "empty in bursts", "empty_both")
STEADY = (25, 10000, 0)     # samples, calls in each, pause before each in us
BURSTS = (25, 500, 20000)   # what is printed is drained between, or else it is the price of losing that is measured
QUIET = 1.15      # a loop that is so much slower than the quickest was disturbed: measured again
ATTEMPTS = 4


class Bench:
    def __init__(self, driver):
        self.driver = driver
        self.quickest = defaultdict(lambda: float("inf"))     # pattern → ns a call, nothing attached
        self.added = defaultdict(list)       # name → ns added, one a round
        self.lost = defaultdict(int)

    def loop_ns(self, pattern):
        return middle(self.driver.sample(*pattern))

    def bare_ns(self, pattern):
        ns = self.loop_ns(pattern)
        self.quickest[pattern] = min(ns, self.quickest[pattern])
        return ns

    def measure(self, name, attach, pattern):
        """`attach()` makes the context. The best of some attempts when the machine is busy."""
        best = None
        for _ in range(ATTEMPTS):
            before = self.bare_ns(pattern)
            with attach() as tracer:
                traced = self.loop_ns(pattern)
            after = self.bare_ns(pattern)
            if isinstance(tracer, (Ktap, Bpftrace)):
                self.lost[name] += tracer.losses()
            disturbed = max(before, after) / self.quickest[pattern]
            if best is None or disturbed < best[0]:
                best = (disturbed, traced - (before + after) / 2)
            if disturbed < QUIET:
                break
        self.added[name].append(best[1])


def ratios(ours, theirs):
    return [a / b for a, b in zip(ours, theirs)]


def verdict(values, aim):
    if not values:
        return "-"
    text = f"{middle(values):.3f}" if middle(values) < 0.1 else f"{middle(values):.2f}"
    if aim is None:
        return text
    return f"{text} {'<=' if middle(values) <= aim else 'OVER'} {aim}"


def report(bench, chosen, ktap):
    added = bench.added
    print(f"a call with nothing attached: {bench.quickest[STEADY]:.1f} ns")
    print(f"{'':20}{'ktap, ns added':>24}{'of the empty program':>22}{'bpftrace, ns added':>26}{'of bpftrace':>16}")
    for floor in FLOORS:
        print(f"{floor:20}{spread(added[floor]):>24}")
    for line in chosen:
        ours, theirs = added[f"ktap {line.name}"], added[f"bpftrace {line.name}"]
        print(f"{line.name:20}{spread(ours):>24}{verdict(ratios(ours, added[line.floor]), line.of_floor):>22}"
              f"{spread(theirs):>26}{verdict(ratios(ours, theirs), line.of_peer):>16}")
        elsewhere = harness.in_user_space(ktap, line.ktap)
        if elsewhere:
            print(f"{'':20}runs in user space, that is why: {elsewhere}")
        lost = [f"{tool} lost {bench.lost[f'{tool} {line.name}']}" for tool in ("ktap", "bpftrace")
                if bench.lost[f"{tool} {line.name}"]]
        if lost:
            print(f"{'':20}meanwhile {', '.join(lost)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--no-peer", action="store_true", help="without bpftrace")
    options = parser.parse_args()
    if harness.cannot_run():
        harness.skip(harness.cannot_run())
    peer = not options.no_peer and not Bpftrace.missing()
    if not peer:
        print("bpftrace: not run")
    chosen = [line for line in ONE_LINERS if not options.only or line.name in options.only]

    with harness.scratch_folder() as folder, Driver(options.ktap) as driver, \
            open(f"{folder}/ktap.out", "wb") as output:
        objects = harness.compile_bpf(folder)
        bench = Bench(driver)
        for pattern in (STEADY, BURSTS):
            bench.bare_ns(pattern)
        for _ in range(options.rounds):
            for floor in FLOORS:
                pattern = BURSTS if floor == "empty in bursts" else STEADY
                program = objects["empty_both" if floor == "empty_both" else "empty_enter"]
                bench.measure(floor, lambda program=program: Attached(options.ktap, program), pattern)
            for line in chosen:
                pattern = BURSTS if line.prints else STEADY
                target = ("-p", str(driver.pid)) if line.prints else ()
                bench.measure(f"ktap {line.name}", lambda line=line, target=target: Ktap(
                    options.ktap, line.ktap, target, output), pattern)
                if peer:
                    script = line.bpftrace.replace("PID", str(driver.pid))
                    bench.measure(f"bpftrace {line.name}", lambda script=script: Bpftrace(
                        script, f"{folder}/bpftrace.out"), pattern)
            output.truncate(0)
    report(bench, chosen, options.ktap)
    return 0


if __name__ == "__main__":
    sys.exit(main())
