#!/usr/bin/env python3
"""What tracing adds to a system call: nothing attached, an empty program, ktap and bpftrace, taking turns.

The driver's loop is measured with nothing attached before and after each of them; what is added is the difference.
Both tools see every process's calls; the printing ones are for the driver's alone. Of all samples of all rounds the
lowest tenth counts: what is above it is the machine's other work; the medians stand in brackets. Printed: ns added to a
call, beside the empty program's and bpftrace's in the same rounds; for a handler that asks whose event it is also the
least program in C that does, by a helper function of the kernel.
Usage: events.py KTAP [--rounds N] [--only NAME…] [--no-peer]
"""
import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass

import harness
from harness import Attached, Bpftrace, Driver, Ktap, middle, undisturbed

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
    least: str = ""         # a program of bench/c that does only what the handler needs of the kernel
    prints: bool = False    # of the driver's calls alone, into a file; the calls come in bursts


ONE_LINERS = [
    OneLiner("count by number", f"var h = {{}} {ENTER} {{ h[args.id] += 1 }}",
             f"{BT_ENTER} {{ @[args->id] = count(); }}", "empty_enter", 1.2, 0.45),
    OneLiner("count by execname", f"var h = {{}} {ENTER} {{ h[execname] += 1 }}",
             f"{BT_ENTER} {{ @[comm] = count(); }}", "empty_enter", 1.2, 0.45, "name_alone"),
    OneLiner("histogram", f"var h = aggr() {ENTER} {{ h <<< args.id }} trace_end {{ print(hist(h)) }}",
             f"{BT_ENTER} {{ @ = hist(args->id); }}", "empty_enter", 1.2, 0.45),
    OneLiner("printf", f'{ENTER} {{ printf("%d %d\\n", pid, args.id) }}',
             f'{BT_ENTER} /pid == PID/ {{ printf("%d %d\\n", pid, args->id); }}', "empty in bursts", 2, 0.05,
             prints=True),
    OneLiner("latency by tid",
             f"var s = {{}} var h = aggr() {ENTER} {{ s[tid] = ns }} "
             f"{EXIT} /s[tid] != nil/ {{ h <<< ns - s[tid]; s[tid] = nil }} trace_end {{ print(hist(h)) }}",
             f"{BT_ENTER} {{ @s[tid] = nsecs; }} "
             f"{BT_EXIT} /@s[tid]/ {{ @ = hist(nsecs - @s[tid]); delete(@s[tid]); }}", "empty_both", None, 0.45),
]

STEADY = (60, 2500, 0)     # samples, calls in each, pause before each in us
BURSTS = (25, 500, 20000)   # what is printed is drained between, or else it is the price of losing that is measured


class Bench:
    """ns a call by name, all samples of all rounds: what is attached, or the pattern of calls with nothing attached."""

    def __init__(self, driver):
        self.driver = driver
        self.samples = defaultdict(list)
        self.lost = defaultdict(int)

    def sample(self, name, pattern):
        self.samples[name].append(self.driver.sample(*pattern))

    def measure(self, name, attach, pattern):
        """A round of `name`, between two with nothing; `attach()` makes the context."""
        self.sample(pattern, pattern)
        with attach() as tracer:
            self.sample(name, pattern)
        self.sample(pattern, pattern)
        if isinstance(tracer, (Ktap, Bpftrace)):
            self.lost[name] += tracer.losses()

    def added(self, name, pattern, level):
        """What `name` adds to a call; `level` makes one figure of the samples."""
        return level(sum(self.samples[name], [])) - level(sum(self.samples[pattern], []))


def pattern_of(name):
    return BURSTS if "printf" in name or "bursts" in name else STEADY


def verdict(ours, theirs, aim):
    """The ratio, and whether it is what it must be."""
    ratio = ours / theirs
    text = f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"
    return text if aim is None else f"{text} {'<=' if ratio <= aim else 'OVER'} {aim}"


def report(bench, chosen, ktap):
    def ns(name, level=undisturbed):
        return bench.added(name, pattern_of(name), level)

    def show(name):
        return f"{ns(name):.1f} ({ns(name, middle):.1f})"

    bare = sum(bench.samples[STEADY], [])
    print(f"a call with nothing attached: {undisturbed(bare):.1f} ns ({middle(bare):.1f})")
    print(f"{'':20}{'ktap, ns added':>20}{'of the empty program':>22}{'bpftrace, ns added':>24}{'of bpftrace':>16}")
    for floor in dict.fromkeys(line.floor for line in chosen):
        print(f"{floor:20}{show(floor):>20}")
    for line in chosen:
        name, peer = f"ktap {line.name}", f"bpftrace {line.name}"
        text = f"{line.name:20}{show(name):>20}{verdict(ns(name), ns(line.floor), line.of_floor):>22}"
        if bench.samples[peer]:
            text += f"{show(peer):>24}{verdict(ns(name), ns(peer), line.of_peer):>16}"
        print(text)
        if line.least:
            print(f"{'  ' + line.least + ', in C':20}{show(line.least):>20}"
                  f"{verdict(ns(line.least), ns(line.floor), None):>22}")
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
        for _ in range(options.rounds):
            for line in chosen:
                pattern = pattern_of(line.name)
                program = objects["empty_both" if line.floor == "empty_both" else "empty_enter"]
                bench.measure(line.floor, lambda program=program: Attached(options.ktap, program), pattern)
                target = ("-p", str(driver.pid)) if line.prints else ()
                bench.measure(f"ktap {line.name}", lambda line=line, target=target: Ktap(
                    options.ktap, line.ktap, target, output), pattern)
                if line.least:
                    bench.measure(line.least, lambda line=line: Attached(options.ktap, objects[line.least]), pattern)
                if peer:
                    script = line.bpftrace.replace("PID", str(driver.pid))
                    bench.measure(f"bpftrace {line.name}", lambda script=script: Bpftrace(
                        script, f"{folder}/bpftrace.out"), pattern)
            output.truncate(0)
    report(bench, chosen, options.ktap)
    return 0


if __name__ == "__main__":
    sys.exit(main())
