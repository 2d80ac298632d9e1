#!/usr/bin/env python3
"""Lines a second into a file, ktap beside bpftrace, taking turns, while the driver makes system calls at full rate.

The clock stops when the file no longer grows. Counted are the driver's getppid calls, which it knows the number of:
lines in the file and what the tool reports as lost must add up to it.
Usage: lines.py KTAP [--rounds N] [--ms MS] [--no-peer]
"""
import argparse
import os
import platform
import sys
import time
from pathlib import Path

import harness
from harness import Bpftrace, Driver, Ktap, middle, spread

NUMBER = 110 if platform.machine() == "x86_64" else 173      # of getppid
FORMATS = {
    "two integers": ('printf("%d %d\\n", pid, args.id)', 'printf("%d %d\\n", pid, args->id);'),
    "name and integers": ('printf("%s %d %d %x\\n", execname, tid, cpu, args.id)',
                          'printf("%s %d %d %x\\n", comm, tid, cpu, args->id);'),
}
AIM = 4
SETTLED_S = 0.1


def deliver(driver, tracer, path, span_ms):
    """(calls, lines, lost, lines a second)."""
    with tracer:
        before = os.stat(path).st_size
        begin = time.monotonic()
        calls, _ = driver.rate(span_ms)
        grew, size = time.monotonic(), os.stat(path).st_size
        while time.monotonic() < grew + SETTLED_S:
            time.sleep(0.002)
            if os.stat(path).st_size != size:
                grew, size = time.monotonic(), os.stat(path).st_size
        span_s = grew - begin
    with open(path, "rb") as file:
        file.seek(before)
        lines = sum(1 for line in file if line[:1].isdigit() or line.startswith(b"driver"))
    return calls, lines, tracer.losses(), lines / span_s


def show(tool, results):
    """A line about all rounds of a tool; returns its rates."""
    rates = [result[3] / 1e3 for result in results]
    missing = [calls - lines - lost for calls, lines, lost, _ in results]
    kept = middle([lines / calls for calls, lines, _, _ in results])
    exact = "lines + lost = calls in each round" if not any(missing) else f"lines + lost is short by {missing}"
    print(f"  {tool:10}{spread(rates, 0):>28} thousand lines a second, {100 * kept:.1f} % of the calls; {exact}")
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ms", type=int, default=1000)
    parser.add_argument("--no-peer", action="store_true", help="without bpftrace")
    options = parser.parse_args()
    if harness.cannot_run():
        harness.skip(harness.cannot_run())
    peer = not options.no_peer and not Bpftrace.missing()
    with harness.scratch_folder() as folder, Driver(options.ktap) as driver:
        path = f"{folder}/lines"
        for name, (statement, peer_statement) in FORMATS.items():
            ours, theirs = [], []
            for _ in range(options.rounds):
                with open(path, "wb") as output:
                    tracer = Ktap(options.ktap, f"trace raw_syscalls:sys_enter /args.id == {NUMBER}/ {{ {statement} }}",
                                  ("-p", str(driver.pid)), output)
                    ours.append(deliver(driver, tracer, path, options.ms))
                if peer:
                    tracer = Bpftrace("tracepoint:raw_syscalls:sys_enter "
                                      f"/pid == {driver.pid} && args->id == {NUMBER}/ {{ {peer_statement} }}",
                                      path, buffered=True)
                    theirs.append(deliver(driver, tracer, path, options.ms))
                Path(path).unlink()
            print(f"{name}:")
            ratio = middle(show("ktap", ours)) / (middle(show("bpftrace", theirs)) if peer else float("nan"))
            if peer:
                print(f"  ktap / bpftrace: {ratio:.1f} {'>=' if ratio >= AIM else 'UNDER'} {AIM}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
