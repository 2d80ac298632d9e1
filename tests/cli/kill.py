#!/usr/bin/env python3
"""SIGKILL at any moment leaves nothing behind: no program, map or link in the kernel, no probe in tracefs, no process
(tests/cli/kill.py KTAP LOAD [--kills N] [--seed S]). What ktap has in the kernel is read from its descriptors while it
stands still; after the kill each of them has to go. Traces its own child alone; exit 77 without root."""
import argparse
import ctypes
import errno
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

# Every way to attach that this kernel has; mistakes about the others are found by the kernel cases.
SCRIPTS = {
    "raw tracepoint and tables":
        "var t = {} trace syscalls:* { t[probename] += 1 } tick-5ms { print(len(t)) delete(t) }",
    "tracepoints of perf": "trace sched:* { if (arg1 == nil) { print(argstr) } }",
    "user functions": "var t = {} trace probe:libc.so.6:{malloc,free,read,write}{,%return} { t[probename] += 1 }",
    "samples and breakpoints": "var n = 0 trace software:cpu-clock:1000000 { n += 1 } profile-499hz { n += 1 }",
}
SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
GET_FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}
GONE_AFTER_S = 30     # a perf event takes up to 0.1 s to close, one after the other


def is_in_kernel(kind, number):
    """Whether the kernel still has that program, map or link."""
    attributes = ctypes.create_string_buffer(128)
    ctypes.memmove(attributes, ctypes.byref(ctypes.c_uint32(number)), 4)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(SYS_BPF, GET_FD_BY_ID[kind], attributes, len(attributes))
    if fd >= 0:
        os.close(fd)
        return True
    if ctypes.get_errno() != errno.ENOENT:
        raise OSError(ctypes.get_errno(), f"bpf({kind})")
    return False


def kernel_objects(pid):
    """What its descriptors name: ("prog_id", 17), …"""
    found = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = info.read_text()
        except OSError:
            continue
        for kind in GET_FD_BY_ID:
            found |= {(kind, int(number)) for number in re.findall(rf"^{kind}:\t(\d+)$", text, re.MULTILINE)}
    return found


def probes():
    """What stands in tracefs's files of probes."""
    return "".join(path.read_text() for folder in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
                   for path in (Path(folder, "uprobe_events"), Path(folder, "kprobe_events")) if path.exists())


def processes_of(session):
    """Those that are alive."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except (OSError, ValueError):
            continue
        if int(sid) == session and state not in "ZX":
            alive.append(int(stat.parent.name))
    return alive


def wait_until_empty(what):
    end = time.monotonic() + GONE_AFTER_S
    while True:
        left = what()
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def kill_once(command, delay_s):
    """What is left, and how much there was."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True) as run:
        time.sleep(delay_s)
        run.send_signal(signal.SIGSTOP)
        if run.returncode is not None:    # it was done already
            return [], 0
        os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        objects = kernel_objects(run.pid)
        missing = [it for it in objects if not is_in_kernel(*it)]
        run.kill()
        run.wait()
    left = [f"{kind} {number}, of which the kernel knew nothing," for kind, number in missing]
    left += [f"{kind} {number}" for kind, number in
             wait_until_empty(lambda: [it for it in objects if is_in_kernel(*it)])]
    left += [f"process {pid}" for pid in wait_until_empty(lambda: processes_of(run.pid))]
    return left, len(objects)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ktap")
    parser.add_argument("load")
    parser.add_argument("--kills", type=int, default=10, help="of each script")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    if os.geteuid() != 0 or SYS_BPF is None:
        print("skipped: needs root, on a machine whose number of bpf() it knows")
        return 77
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    before, failures, kills = probes(), [], 0
    for name, script in SCRIPTS.items():
        most = 0
        for i in range(options.kills):
            command = [options.ktap, "-q", "-e", script]
            if i % 2:
                command += ["--", options.load, "threads", "2", "getppid", "200000"]
            # The first well after everything is armed, the others at any moment.
            left, count = kill_once(command, 0.5 if i == 0 else chance.uniform(0, 0.1))
            most, kills = max(most, count), kills + 1
            if left:
                failures.append(f"{name}, kill {i}: {', '.join(left)} left")
        if most < 3:
            failures.append(f"{name}: only {most} objects in the kernel were ever seen")
    if probes() != before:
        failures.append("tracefs has other probes than before")
    for failure in failures:
        print(failure)
    print(f"{kills - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
