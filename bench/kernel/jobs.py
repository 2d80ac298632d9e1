#!/usr/bin/env python3
"""What a real job keeps of its speed while every system call of the machine is counted by name.

Jobs: a compile of some C files, `perf bench sched pipe`, `perf bench futex wake`; alone, with an empty program on both
ends of system calls, and traced, in turns. Printed: the throughput as a share of what it is alone, median and middle
half. With --pin the jobs have one CPU to themselves: no migrations and no wake-ups across CPUs, which are most of the
time of the two from perf, so that little is left beside the system calls themselves.
Usage: jobs.py KTAP [--rounds N] [--only NAME…] [--pin]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import DRIVER_CPU, Attached, Ktap, Nothing, middle, spread

SCRIPT = "var h = {} trace syscalls:* { h[probename] += 1 } trace_end { print(len(h)) }"
AIM = 0.95
PAUSE_S = 0.1      # the kernel lets nobody be urgent for a whole second on end
SOURCES = [Path(__file__).resolve().parent / "driver.c", Path(__file__).resolve().parent / "attach.c",
           Path(__file__).resolve().parents[2] / "tests" / "kernel" / "load.c"]


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


class Ahead:
    """This process and its children go ahead of what else the machine does: its noise is not what is measured."""

    def __init__(self, pin):
        self.cpus = {DRIVER_CPU} if pin else set(harness.CPUS)

    def __enter__(self):
        os.sched_setaffinity(0, self.cpus)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    def __exit__(self, *_):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, set(harness.CPUS))


def compile_files(folder):
    """Seconds for some C files, one compiler process each and its children."""
    begin = time.monotonic()
    for source in SOURCES:
        run(["gcc", "-O2", "-c", str(source), "-o", f"{folder}/out.o"], folder)
    return time.monotonic() - begin


def perf_number(command, pattern):
    def measure(folder):
        text = run(["perf", "bench", *command], folder)
        return float(re.findall(pattern, text)[-1])
    return measure


JOBS = {
    "compile": compile_files,
    "sched pipe": perf_number(["sched", "pipe", "-l", "50000"], r"([\d.]+) usecs/op"),
    "futex wake": perf_number(["-r", "10", "futex", "wake", "-t", "200"], r"in ([\d.]+) ms \(\+-"),
}


def measure(job, states, folder, options):
    """state → what each run of the job cost, the states taking turns."""
    costs = {state: [] for state in states}
    job(folder)     # what it reads is in memory from here on
    for turn in range(options.rounds):
        order = list(states)
        for state in order[turn % len(order):] + order[:turn % len(order)]:
            with states[state](), Ahead(options.pin):
                costs[state].append(job(folder))
            time.sleep(PAUSE_S)
    return costs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--pin", action="store_true")
    options = parser.parse_args()
    if harness.cannot_run():
        harness.skip(harness.cannot_run())
    print(f"{'':14}{'alone':>24}{'keeps with empty programs':>30}{'keeps with ktap':>30}")
    with harness.scratch_folder() as folder:
        program = harness.compile_bpf(folder)["empty_both"]
        states = {"alone": Nothing, "empty": lambda: Attached(options.ktap, program),
                  "ktap": lambda: Ktap(options.ktap, SCRIPT)}
        for name in options.only or JOBS:
            if name != "compile" and not shutil.which("perf"):
                print(f"{name:14}skipped: perf is not installed")
                continue
            costs = measure(JOBS[name], states, folder, options)
            kept = {state: [alone / cost for alone, cost in zip(costs["alone"], costs[state])] for state in states}
            verdict = f"{'>=' if middle(kept['ktap']) >= AIM else 'UNDER'} {AIM}"
            print(f"{name:14}{spread(costs['alone'], 3):>24}{spread(kept['empty'], 3):>30}"
                  f"{spread(kept['ktap'], 3):>30} {verdict}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
