#!/usr/bin/env python3
"""The VM beside lua5.4 and luajit -joff: the same programs, taking turns, medians of user CPU time and ratios.

Each program stands twice in this folder, NAME.kp and NAME.lua, and must print the same. A program that ktap cannot
compile yet is named with the reason and left out of the means. Usage: run.py KTAP [--rounds N] [--only NAME…]
"""
import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PEERS = (("lua5.4", ["lua5.4"]), ("luajit -joff", ["luajit", "-joff"]))


def run(command):
    """(user CPU seconds, standard output) of one run; None as time when it failed, with what it said."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          cwd=FOLDER) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return (usage.ru_utime if process.returncode == 0 else None), output


def reason_to_skip(ktap, script):
    """Why ktap cannot compile `script`; None when it can."""
    check = subprocess.run([ktap, "--check", script], cwd=FOLDER, capture_output=True, text=True)
    return None if check.returncode == 0 else check.stderr.split("\n")[0]


def measure(name, machines, rounds):
    """User seconds per machine, taking turns: A B C A B C. Ends the program where outputs differ."""
    times = {machine: [] for machine, _ in machines}
    expected = None
    for _ in range(rounds):
        for machine, command in machines:
            seconds, output = run(command + [f"{name}.kp" if machine == "ktap" else f"{name}.lua"])
            if seconds is None:
                sys.exit(f"{name}: {machine} failed:\n{output.decode(errors='replace')}")
            if expected is None:
                expected = output
            if output != expected:
                sys.exit(f"{name}: {machine} printed something else than {machines[0][0]}:\n"
                         f"{output.decode(errors='replace')}")
            times[machine].append(seconds)
    return times


def spread(values):
    return f"{statistics.median(values):6.3f} ({min(values):.3f}-{max(values):.3f})"


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="these programs alone")
    options = parser.parse_args()
    ktap = str(options.ktap.resolve())
    peers = [(name, command) for name, command in PEERS if shutil.which(command[0])]
    machines = [("ktap", [ktap, "-q"])] + peers
    names = sorted(script.stem for script in FOLDER.glob("*.kp"))
    unknown = set(options.only or []) - set(names)
    if unknown:
        sys.exit(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(names)}")

    print(f"{'':18}" + "".join(f"{machine:>22}" for machine, _ in machines) +
          "".join(f"{'ktap / ' + machine:>21}" for machine, _ in peers))
    ratios = {machine: [] for machine, _ in peers}
    for name in options.only or names:
        reason = reason_to_skip(ktap, f"{name}.kp")
        if reason:
            print(f"{name:18} skipped: {reason}", flush=True)
            continue
        times = measure(name, machines, options.rounds)
        line = f"{name:18}" + "".join(f"{spread(times[machine]):>22}" for machine, _ in machines)
        for machine, _ in peers:
            ratio = max(statistics.median(times["ktap"]), 1e-3) / max(statistics.median(times[machine]), 1e-3)
            ratios[machine].append(ratio)
            line += f"{ratio:21.2f}"
        print(line, flush=True)
    means = "".join(f"{geometric_mean(ratios[machine]):21.2f}" if ratios[machine] else f"{'-':>21}"
                    for machine, _ in peers)
    print(f"{'geometric mean':18}" + " " * 22 * len(machines) + means)
    print(f"(user seconds: median (least-most); {options.rounds} rounds, taking turns; below 1 ktap is faster)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
