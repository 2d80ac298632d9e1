#!/usr/bin/env python3
"""Start, attach and detach times and the peak memory of ktap, beside bpftrace's when it is installed: taking turns.

Figures: a script that only ends; from start to armed and from Ctrl-C to the end of the process, with one tracepoint,
with all of `syscalls:*`, with `sched:*` and a field, with 66 user functions; the peak of resident memory when armed.
bpftrace attaches half of `syscalls:*`, and once only: it lets go of them for the better part of a minute.
Usage: start.py KTAP [--rounds N] [--no-attach] [--no-peer]
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

# bpftrace attaches in the order of the script: once the interval prints, everything before it is attached.
READY = ' interval:ms:1 { printf("armed\\n"); }'
SCRIPTS = {
    "one tracepoint": ("var h = {} trace sched:sched_process_exec { h[execname] += 1 }",
                       "tracepoint:sched:sched_process_exec { @[comm] = count(); }" + READY),
    "syscalls:*": ("var h = {} trace syscalls:* { h[probename] += 1 }",
                   "tracepoint:syscalls:sys_enter_* { @[probe] = count(); }" + READY),
    "sched:* with fields": ("var h = {} trace sched:* { h[arg1] += 1 }", None),
}
FUNCTION_COUNT = 66
FUNCTIONS = f"{FUNCTION_COUNT} functions of libc"
# What they must not exceed: ms, MB.
AIMS = {("exit()", "start to end"): 5, ("one tracepoint", "start to armed"): 15, ("syscalls:*", "start to armed"): 60,
        ("one tracepoint", "Ctrl-C to end"): 10, ("syscalls:*", "Ctrl-C to end"): 10,
        ("one tracepoint", "peak memory"): 12, ("syscalls:*", "peak memory"): 12,
        ("sched:* with fields", "start to armed"): 300, ("sched:* with fields", "Ctrl-C to end"): 300,
        (FUNCTIONS, "start to armed"): 40, (FUNCTIONS, "Ctrl-C to end"): 60}

# Where tracefs is not mounted, bpftrace gets it in a mount namespace of its own: nothing is left behind.
OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              'mount -t debugfs none /sys/kernel/debug && exec "$@"', "sh"]


def become_urgent():
    """Ahead of what else the machine does, as our children will be: its noise is not what is measured."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass    # with the noise, then


def now_ms():
    return time.monotonic() * 1000


def time_exit(command):
    begin = now_ms()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return now_ms() - begin


def peak_mb(pid):
    return int(re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1)) / 1024


def time_attach(command, banner, stream):
    """(ms from start until `banner` is printed, ms from SIGINT until the process has ended, MB of memory at most)."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE}
    begin = now_ms()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **pipes) as process:
        pipe = getattr(process, stream)
        for line in iter(pipe.readline, b""):
            if banner in line:
                break
        else:
            raise RuntimeError(f"{command[0]} ended before it was armed")
        armed = now_ms() - begin
        time.sleep(0.2)
        memory = peak_mb(process.pid)
        begin = now_ms()
        process.send_signal(signal.SIGINT)
        while pipe.read(65536):
            pass
        process.wait()
        return armed, now_ms() - begin, memory


def functions_of_libc(ktap):
    """The scripts of both tools that count the calls of so many functions, by name."""
    listed = subprocess.run([ktap, "list", "probe:libc.so.6:str*"], check=True, capture_output=True, text=True).stdout
    names = [line.split()[0].rsplit(":", 1)[1] for line in listed.splitlines()][:FUNCTION_COUNT]
    if len(names) < FUNCTION_COUNT:
        raise RuntimeError(f"libc has {len(names)} functions str*, not {FUNCTION_COUNT}")
    ours = f"var h = {{}} trace probe:libc.so.6:{{{','.join(names)}}} {{ h[probename] += 1 }}"
    theirs = ",\n".join(f"uprobe:libc:{name}" for name in names) + " { @[probe] = count(); }" + READY
    return ours, theirs


class Figures:
    """Values by (script, what): ktap's and bpftrace's."""

    def __init__(self):
        self.ours, self.theirs = defaultdict(list), defaultdict(list)

    def add(self, values, script, measured):
        for what, value in zip(("start to armed", "Ctrl-C to end", "peak memory"), measured):
            values[script, what].append(value)

    def show(self):
        print(f"{'':38}{'ktap':28}{'at most':>10}   {'bpftrace':28}{'ratio':>8}")
        for key, ours in self.ours.items():
            unit = "MB" if key[1] == "peak memory" else "ms"
            theirs, aim = self.theirs[key], AIMS.get(key)
            bound = "" if aim is None else f"{'OVER ' if statistics.median(ours) > aim else ''}{aim} {unit}"
            ratio = f"{statistics.median(theirs) / statistics.median(ours):7.1f}x" if theirs else "-"
            print(f"{key[0] + ', ' + key[1]:38}{text_of(ours, unit):28}{bound:>10}   "
                  f"{text_of(theirs, unit):28}{ratio:>8}")


def text_of(values, unit):
    if not values:
        return "-"
    return f"{statistics.median(values):.1f} {unit} ({min(values):.1f}-{max(values):.1f})"


def attach_rounds(ktap, peer, rounds, figures):
    mounted = Path("/sys/kernel/debug/tracing/events").is_dir()
    peer_command = ([] if mounted else OWN_MOUNTS) + [peer, "-B", "none", "-e"]
    for script, (ours, theirs) in (SCRIPTS | {FUNCTIONS: functions_of_libc(ktap)}).items():
        for turn in range(rounds):
            figures.add(figures.ours, script, time_attach([ktap, "-e", ours], b"Tracing...", "stderr"))
            if not peer or theirs is None or script == "syscalls:*" and turn > 0:
                continue
            try:
                figures.add(figures.theirs, script, time_attach(peer_command + [theirs], b"armed", "stdout"))
            except RuntimeError as error:
                print(f"bpftrace: skipped: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--no-attach", action="store_true", help="only the start time, which needs no root")
    parser.add_argument("--no-peer", action="store_true", help="without bpftrace")
    options = parser.parse_args()
    ktap, root = str(options.ktap.resolve()), os.geteuid() == 0
    peer = shutil.which("bpftrace") if root and not options.no_peer else None
    figures = Figures()
    become_urgent()
    for _ in range(options.rounds):
        figures.ours["exit()", "start to end"].append(time_exit([ktap, "-e", "exit()"]))
        if peer:
            figures.theirs["exit()", "start to end"].append(time_exit([peer, "-e", "BEGIN { exit(); }"]))
    if root and not options.no_attach:
        attach_rounds(ktap, peer, options.rounds, figures)
    figures.show()
    if not root and not options.no_attach:
        print("arming: skipped: needs root")
    return 0


if __name__ == "__main__":
    sys.exit(main())
