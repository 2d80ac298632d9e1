#!/usr/bin/env python3
"""Start and attach times of ktap, beside bpftrace's when it is installed: taking turns, medians, ratios.

Three figures: a script that only ends; arming `syscalls:*` (from start to the banner); disarming (from Ctrl-C to the
end of the process). Usage: start.py KTAP [--rounds N] [--no-attach]
"""
import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

# bpftrace attaches in the order of the script: once the interval prints, everything before it is attached.
PEER_SCRIPT = 'tracepoint:syscalls:sys_enter_* { @[probe] = count(); } interval:ms:1 { printf("armed\\n"); }'

# Where tracefs is not mounted, bpftrace gets it in a mount namespace of its own: nothing is left behind.
OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              'mount -t debugfs none /sys/kernel/debug && exec "$@"', "sh"]


def now_ms():
    return time.monotonic() * 1000


def time_exit(command):
    begin = now_ms()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return now_ms() - begin


def time_attach(command, banner, stream):
    """(ms from start until `banner` is printed, ms from SIGINT until the process has ended)."""
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
        begin = now_ms()
        process.send_signal(signal.SIGINT)
        while pipe.read(65536):
            pass
        process.wait()
        return armed, now_ms() - begin


def row(what, ours, theirs):
    def show(values):
        return f"{statistics.median(values):9.1f} ms ({min(values):.1f}-{max(values):.1f})" if values else "-"
    ratio = f"{statistics.median(theirs) / statistics.median(ours):7.1f}x" if ours and theirs else "-"
    print(f"{what:28} {show(ours):30} {show(theirs):34} {ratio:>8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--no-attach", action="store_true", help="only the start time, which needs no root")
    options = parser.parse_args()
    ktap, peer = str(options.ktap.resolve()), shutil.which("bpftrace")
    root = os.geteuid() == 0
    peer_exit = [peer, "-e", "BEGIN { exit(); }"] if peer and root else None

    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(time_exit([ktap, "-e", "exit()"]))
        if peer_exit:
            theirs.append(time_exit(peer_exit))
    print(f"{'':28} {'ktap':30} {'bpftrace' if peer_exit else 'bpftrace: not run':34} {'ratio':>8}")
    row("start to end of exit()", ours, theirs)
    if options.no_attach:
        return 0
    if not root:
        print("arming syscalls:*            skipped: needs root")
        return 0

    arm, disarm, peer_arm, peer_disarm = [], [], [], []
    script = "var h = {} trace syscalls:* { h[probename] += 1 }"
    for _ in range(options.rounds):
        armed, ended = time_attach([ktap, "-e", script], b"Tracing...", "stderr")
        arm.append(armed)
        disarm.append(ended)
    if peer:
        # Once: letting go of hundreds of tracepoints takes it the better part of a minute.
        print("(bpftrace attaches and detaches sys_enter_*, half of the events: this takes a while)", flush=True)
        mounted = Path("/sys/kernel/debug/tracing/events").is_dir()
        command = ([] if mounted else OWN_MOUNTS) + [peer, "-B", "none", "-e", PEER_SCRIPT]
        try:
            armed, ended = time_attach(command, b"armed", "stdout")
            peer_arm.append(armed)
            peer_disarm.append(ended)
        except RuntimeError as error:
            print(f"bpftrace: skipped: {error}")
    row("start to armed, syscalls:*", arm, peer_arm)
    row("Ctrl-C to end, syscalls:*", disarm, peer_disarm)
    return 0


if __name__ == "__main__":
    sys.exit(main())
