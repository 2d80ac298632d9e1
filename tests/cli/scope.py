#!/usr/bin/env python3
"""Whom to trace, where a case file cannot say it: children that are there before ktap, cgroups, and what is no target
(tests/cli/scope.py KTAP LOAD). Traces its own children alone; exit 77 without root."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = "var n = 0 trace syscalls:sys_enter_getppid { n += 1 } trace_end { print(n) }"
failures = []


def expect(what, found, wanted):
    if found != wanted:
        failures.append(f"{what}: {found!r}, not {wanted!r}")


def armed(ktap, *options, script=SCRIPT):
    """ktap with the script, once it has armed."""
    run = subprocess.Popen([ktap, *options, "-e", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    banner = run.stderr.readline()
    if not banner.startswith("Tracing"):
        failures.append(f"{options}: {banner}{run.stderr.read()}")
    return run


def end(run):
    """Its output."""
    try:
        out, err = run.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
        return "does not end"
    return (out + err).strip()


def beside_children(ktap, options, children, **script):
    """What ktap prints that traces a shell, which waits for the `children` that it has started already. A child goes
    on when it has read a byte from descriptor 3, and gets that when ktap has armed."""
    read_end, write_end = os.pipe()
    os.dup2(read_end, 3)
    started = " ".join(f"{child} <&3 &" for child in children)
    shell = subprocess.Popen(["sh", "-c", f"{started} wait"], pass_fds=[3], stdin=subprocess.DEVNULL)
    time.sleep(0.2)
    run = armed(ktap, *options, "-p", str(shell.pid), **script)
    os.write(write_end, b"." * len(children))
    shell.wait()
    output = end(run)
    os.close(write_end)
    if read_end != 3:
        os.close(read_end)
    os.close(3)
    return output


def follow_at_start(ktap, load):
    children = [f"{load} wait 1 getppid 20", f"{load} wait 1 getppid 300"]
    for options, wanted in ((["--follow"], "320"), ([], "0"), (["--follow", "--placement=user"], "320")):
        expect(f"children at the start with {options}", beside_children(ktap, options, children), wanted)


def counters_of_children(ktap, load):
    """Events that are counted in threads: in those of children that are there already too."""
    script = "var n = 0 trace software:page-faults { n += 1 } trace_end { print(n >= 4000 && n < 4400, n < 100) }"
    children = [f"{load} wait 1 touch 2000"] * 2
    for options, wanted in ((["--follow"], "true\tfalse"), ([], "false\ttrue")):
        expect(f"counters of children with {options}", beside_children(ktap, options, children, script=script), wanted)


def cgroup_mount():
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return Path(line.split()[1])
    return None


def cgroups(ktap, load):
    mount = cgroup_mount()
    folder = mount / f"ktap-test-{os.getpid()}" if mount else None
    try:
        (folder / "below").mkdir(parents=True)
    except (OSError, TypeError):
        print("skipped: cgroups (no cgroup v2 that can be written)")
        return
    loads = []
    try:
        for inside, number in ((folder, 5), (folder / "below", 70), (mount, 900)):
            process = subprocess.Popen([load, "wait", "1", "getppid", str(number)], stdin=subprocess.PIPE)
            loads.append(process)
            (inside / "cgroup.procs").write_text(str(process.pid))
        runs = [armed(ktap, "--cgroup", folder.name), armed(ktap, f"--cgroup={folder}/below"),
                armed(ktap, "--placement=user", "--cgroup", str(folder)),
                armed(ktap, "--cgroup", folder.name, "-p", str(loads[0].pid)),
                armed(ktap, "--cgroup", folder.name, "--user", "nobody")]
        for process in loads:
            process.communicate(b".")
        time.sleep(0.1)
        for run, wanted in zip(runs, ("75", "70", "75", "5", "0")):
            if run.poll() is None:
                run.terminate()
            expect(f"cgroup, {' '.join(run.args[1:-2])}", end(run), wanted)
        wrong = subprocess.run([ktap, "--cgroup", folder.name[:-1] + "x", "-e", SCRIPT], capture_output=True, text=True,
                               check=False)
        expect("a wrong cgroup", (wrong.returncode, "did you mean" in wrong.stderr), (2, True))
    finally:
        for process in loads:
            process.kill()
            process.wait()
        for path in (folder / "below", folder):
            path.rmdir()


def own_root(ktap, load):
    """With -p, paths and bare names are those of the process, which sees other files than we do."""
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "inner").mkdir()
        shutil.copy(load, Path(root) / "inner/only_there")
        for path in ("/inner/only_there", "only_there"):
            process = subprocess.Popen(["/inner/only_there", "wait", "1", "half:1", "70", "mark", "30"],
                                       stdin=subprocess.PIPE, preexec_fn=lambda: os.chroot(root), cwd="/")
            script = (f"var n = 0 trace probe:{path}:probed_half, sdt:{path}:load:places {{ n += 1 }} "
                      "trace_end { print(n) }")
            run = armed(ktap, "-p", str(process.pid), script=script)
            process.communicate(b".")
            expect(f"{path} of a process with a root of its own", end(run), "130")
        ours = subprocess.run([ktap, "-e", "trace probe:/inner/only_there:probed_half { }"], capture_output=True,
                              text=True, check=False)
        expect("without -p", (ours.returncode, "/inner/only_there: no such file" in ours.stderr), (2, True))


def mistakes(ktap):
    for options, wanted in (
            (["--user", "nobdy"], "--user nobdy: no such user in /etc/passwd; did you mean 'nobody'?"),
            (["--user", "99999999999"], "--user 99999999999: no user has that number; the largest is 4294967294"),
            (["--user", "4294967295"], "--user 4294967295: no user has that number"),
            (["--cgroup", "/proc"], "--cgroup /proc: "),
            (["--cgroup", ""], "--cgroup takes a folder of cgroup v2, not ''"),
            (["-p", "999999999"], "no process 999999999"),
            (["--follow"], "--follow goes with -p PID or -- CMD: there is no target")):
        run = subprocess.run([ktap, *options, "-e", SCRIPT], capture_output=True, text=True, check=False)
        expect(f"{options}", (run.returncode, run.stderr.startswith("ktap: error: " + wanted), run.stderr),
               (2, True, run.stderr))


def ends_alone(ktap, load):
    """A script of trace_end alone lasts as long as its target."""
    run = subprocess.Popen([load, "wait", "1"], stdin=subprocess.PIPE)
    tracer = subprocess.Popen([ktap, "-q", "-p", str(run.pid), "-e", 'print("began") trace_end { print("over") }'],
                              stdout=subprocess.PIPE, text=True)
    began = tracer.stdout.readline().strip()
    time.sleep(0.5)
    waits = tracer.poll() is None
    run.stdin.close()
    run.wait()
    expect("trace_end alone", (began, waits, tracer.communicate(timeout=60)[0].strip()), ("began", True, "over"))


def main():
    ktap, load = (str(Path(name).resolve()) for name in sys.argv[1:3])
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    mistakes(ktap)
    follow_at_start(ktap, load)
    counters_of_children(ktap, load)
    cgroups(ktap, load)
    own_root(ktap, load)
    ends_alone(ktap, load)
    for failure in failures:
        print("FAIL", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
