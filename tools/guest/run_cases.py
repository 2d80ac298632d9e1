#!/usr/bin/env python3
"""The kernel cases (tests/kernel) under other kernels and on another architecture, in QEMU: one boot runs them all.

Only the programs run in the guest; their output is judged here, as tools/kernel_case.py judges it on this machine.
On amd64 GoogleTest programs that load random functions into the kernel run there as well (--program).

Usage: run_cases.py [--ktap NAME=FILE]… [--ktapc FILE] [--only PART]… [--fetch-seconds N] [--program FILE]…
[--name NAME] [KERNEL…]; run_cases.py --self-test. KERNEL is a name of kernels.txt, or its number alone for amd64; all
when none is named. --ktapc: the guests get what this program of this machine makes of each script, not its source.
"""
import argparse
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import kernel_case  # noqa: E402  (from tools/, found by the line above)
import kernel_image  # noqa: E402
import machine  # noqa: E402
from initramfs import Initramfs  # noqa: E402
from report import Report  # noqa: E402

COMPILERS = {"amd64": "", "arm64": "aarch64-linux-gnu-", "armhf": "arm-linux-gnueabihf-",
             "riscv64": "riscv64-linux-gnu-"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "riscv64": "riscv64"}
# Linux sets uprobes on 32-bit ARM's first instruction set alone.
FLAGS = {"armhf": ["-marm"]}
SKIPPED_RUNS = re.compile(r"ktap: lost \d+ .*: nested probe skipped by the kernel$")
# Rows of `ktap doctor` → a case that needs it and nothing else that is rare; facts of `--explain -v` beside it.
DOCTOR_CASES = {
    "tracepoints, system calls (raw)": "counts_by_name", "tracepoints with their fields (perf)": "tracepoint_fields",
    "kernel functions, one by one": "kernel_functions", "function trace": "function_trace",
    "user functions, one by one": "user_functions", "markers (sdt) with semaphores": "marker_semaphore",
    "memory breakpoints, processes": "memory_breakpoint_length", "profile timers": "profile_timer",
    "software events": "page_faults", "hardware counters": "hardware_event", "--follow": "follow_command",
    "override(), e.set_retval()": "override_return", "signal()": "unsafe_signal",
    "write_user()": "unsafe_write_user",
}
DOCTOR_FACTS = {
    "kernel functions, typed (trampolines)": "trampolines", "kernel functions, many at once": "kprobe_multi",
    "user functions, many at once": "uprobe_multi", "the same with typed arguments": "typed_tracepoints",
}
LACK = re.compile(r"has no field|no event matches|no function|cannot trace its functions|cannot probe where"
                  r"|lets no program set|no markers|no such program or library"
                  r"|this kernel (?:does not|takes)")  # what a script of the corpus may say instead of running
SLOWER = 6  # emulated, on a machine that has other work: times that a case allows itself here


def known_kernels():
    lines = (HERE / "kernels.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def full_name(text):
    name = text if "-" in text else text + "-amd64"
    if name not in known_kernels():
        raise SystemExit(f"run_cases.py: no kernel '{text}'; there are: {' '.join(known_kernels())}")
    return name


def fetch(name, seconds):
    """(vmlinuz, "") or (None, why it cannot be had)."""
    try:
        done = subprocess.run([str(HERE / "fetch_kernel"), name], capture_output=True, text=True, timeout=seconds,
                              check=False)
    except subprocess.TimeoutExpired:
        return None, f"the kernel could not be fetched within {seconds} seconds"
    if done.returncode != 0:
        return None, "the kernel could not be fetched: " + (done.stderr.strip().split("\n") or ["?"])[-1]
    return Path(done.stdout.strip()) / "vmlinuz", ""


def build_static(arch, sources, target, extra):
    """Compiles a small program of tests/ for a guest when it is older than its sources. `sources`: each with what is
    special of it."""
    if target.exists() and all(target.stat().st_mtime > source.stat().st_mtime for source in sources):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    objects = []
    for source, special in sources.items():
        compiler = COMPILERS[arch] + ("g++" if source.suffix == ".cc" else "gcc")
        objects.append(str(target.with_suffix("." + source.stem + ".o")))
        subprocess.run([compiler, "-O1", "-Wall", "-Wextra", "-Werror", *extra, *special, "-c", str(source), "-o",
                        objects[-1]], check=True)
    subprocess.run([compiler, "-static", *extra, *objects, "-o", str(target)], check=True)


class Guest:
    """One kernel: the files that go in, the jobs, and who wants which job's result."""

    def __init__(self, name, ktap, build, ktapc, folder):
        self.name, self.arch, self.ktapc = name, name.rsplit("-", 1)[1], ktapc
        self.where = (MACHINES[self.arch], name)
        self.files, self.jobs = Initramfs(), []
        tools = build / "guest" / self.arch
        build_static(self.arch, {ROOT / "tests/guest/init.cc": []}, tools / "init", ["-std=c++20"])
        kernel = ROOT / "tests/kernel"
        has_frames = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]
        sources = {kernel / "load.c": has_frames, kernel / "devices.c": [], kernel / "typed_calls.c": ["-g", "-O2"],
                   kernel / "deep_calls.c": ["-g", "-O2", "-fomit-frame-pointer"]}
        build_static(self.arch, sources, tools / "load", ["-std=gnu11", "-pthread", *FLAGS.get(self.arch, [])])
        self.files.program(tools / "init", "init")
        self.load = tools / "load"
        self.files.program(self.load, "bin/load")
        self.files.program(ktap, "bin/ktap")
        self.modules = {path.name.split(".ko")[0]: path for path in folder.glob("modules/*.ko*")}
        self.config = (folder / "config").read_text().split("\n")
        self.by_case = {}  # (script, command) → (job, job of --explain)
        self.dry_runs = {}  # name of a script → its job

    def add(self, job):
        self.jobs.append(job)
        return len(self.jobs) - 1

    def lacks(self, case):
        """Why the guest cannot run the case, by what its kernel was built and came with, or ""."""
        missing = [f"has no module {name}" for name in case.head.get("modules", "").split() if name not in self.modules]
        missing += [f"is built without {name}" for name in case.head.get("config", "").split()
                    if f"CONFIG_{name}=y" not in self.config]
        return f"this kernel {missing[0]}" if missing else ""

    def script_of(self, case):
        return kernel_case.script_of(case, "/bin/load", self.load)

    def modules_of(self, case):
        """Those that the case asks for, as far as they are there; puts them into the guest."""
        names = [name for name in case.head.get("modules", "").split() if name in self.modules]
        for name in names:
            data, suffix = self.modules[name].read_bytes(), self.modules[name].suffix
            self.files.put(f"modules/{name}.ko", data if suffix == ".ko" else kernel_image.unpack(suffix[1:], data))
        return names

    def add_case(self, case):
        """A `run` for kernel_case.judge() that only notes what it will want to see."""
        what = kernel_case.invocation(case, "/bin/ktap", "/bin/load")
        key = (case.script, tuple(what.command))
        if key in self.by_case:
            return kernel_case.Outcome([], [], 0, [])
        directory = f"/cases/{len(self.by_case)}"
        self.files.put(f"{directory}/{kernel_case.SCRIPT}", self.compiled(self.script_of(case)))
        number = int(getattr(signal, "SIG" + what.signal[0])) if what.signal else 0
        run = self.add(machine.Job(what.command, directory, what.timeout_s * SLOWER,
                                   (number, what.signal[1]) if what.signal else (), what.target,
                                   modules=self.modules_of(case)))
        explain = self.add(machine.Job(what.explain, directory, what.timeout_s * SLOWER)) if what.explain else None
        self.by_case[key] = (run, explain)
        return kernel_case.Outcome([], [], 0, [])

    def compiled(self, script):
        """The script as the guest gets it: its text, or what --ktapc makes of it. One that does not compile stays a
        text, and the guest says what is wrong with it."""
        if not self.ktapc:
            return script.encode()
        with tempfile.TemporaryDirectory(prefix="ktap-compiled-") as directory:
            (Path(directory) / kernel_case.SCRIPT).write_text(script)
            done = subprocess.run([self.ktapc, "-o", "compiled", kernel_case.SCRIPT], cwd=directory, timeout=30,
                                  capture_output=True, check=False)
            if done.returncode != 0:
                return script.encode()
            return (Path(directory) / "compiled").read_bytes()

    def add_dry_run(self, name, script, options, args, modules=()):
        """`ktap -d -v`: whether this kernel's verifier takes every program of the script."""
        directory = f"/dry/{len(self.dry_runs)}"
        self.files.put(f"{directory}/{kernel_case.SCRIPT}", script.encode())
        command = ["/bin/ktap", "-d", "-v", *options, kernel_case.SCRIPT, *args]
        self.dry_runs[name] = self.add(machine.Job(command, directory, 30 * SLOWER, modules=modules))

    def outcome(self, case, results):
        """The outcome of a case that was added, out of the guest's results."""
        what = kernel_case.invocation(case, "/bin/ktap", "/bin/load")
        run, explain = self.by_case[(case.script, tuple(what.command))]
        result = results[run]
        if result.status is None:
            raise kernel_case.CaseError(f"no end within {what.timeout_s * SLOWER:g} seconds\n"
                                        + result.stderr.decode("utf-8", "replace"))
        plan = results[explain].stdout + results[explain].stderr if explain is not None else b""
        outcome = kernel_case.outcome_of(result.stdout, result.stderr, result.status, plan)
        if not any("lost" in text for _, text in case.expect):
            # While ktap asks the kernel for a map, events on that CPU are skipped, whosever they are. A guest is slow
            # enough to show it; an event of the case that is missing shows in its counts.
            outcome.stderr = [line for line in outcome.stderr if not SKIPPED_RUNS.match(line)]
        return outcome


def add_cases(guest, paths, report):
    """Adds every run of every case, as judging asks for them; returns the paths that are to be judged."""
    judged = []
    for path in paths:
        try:
            case = kernel_case.parse_case(path.read_text())
        except kernel_case.CaseError as error:
            report.fail(f"{guest.name} {path.stem}", str(error))
            continue
        if reason := case.head.get("guest") or kernel_case.not_for(case, *guest.where) or guest.lacks(case):
            report.skip(f"{guest.name} {path.stem}", reason)
            continue
        kernel_case.judge(path, guest.add_case, Nobody(), where=guest.where)
        judged.append(path)
    return judged


def add_dry_runs(guest):
    """All scripts of the kernel cases and of the corpus."""
    for path in sorted((ROOT / "tests/kernel").glob("*.case")):
        case = kernel_case.parse_case(path.read_text())
        if case.head.get("exit") == "2" or "guest" in case.head or kernel_case.not_for(case, *guest.where):
            continue  # a mistake that is told before anything is loaded; a case that makes no sense in this guest
        options, args = (shlex.split(case.head.get(key, "")) for key in ("options", "args"))
        if "--follow" in options:
            args += ["--", "/bin/load"]  # it asks for a target
        guest.add_dry_run(path.stem, guest.script_of(case), options, args, guest.modules_of(case))
    for path in [*sorted((ROOT / "tests/golden/explain").glob("kernel_*.kp")), *sorted(ROOT.glob("scripts/**/*.kp"))]:
        guest.add_dry_run(f"{path.parent.name}/{path.name}", path.read_text(), ["--unsafe"], [])


def judge_dry_runs(guest, results, report):
    """A refusal would send a handler to user space, where it does the same, slower, so that no case would show it."""
    for name, job in guest.dry_runs.items():
        text = (results[job].stdout + results[job].stderr).decode("utf-8", "replace")
        refused = [line.strip() for line in text.split("\n") if "the kernel's verifier" in line]
        if results[job].status == 2 and LACK.search(text) and not refused:
            report.skip(f"{guest.name} verifier: {name}", "the guest lacks an event or a field of it")
        elif results[job].status != 0:
            report.fail(f"{guest.name} verifier: {name}", text[-2000:])
        elif refused and "--spoil" not in " ".join(guest.jobs[job].command):
            report.fail(f"{guest.name} verifier: {name}", "\n".join(refused))
        else:
            report.ok(f"{guest.name} verifier: {name}")


def judge_program(guest, program, result, report):
    """A GoogleTest program's own lines, or those of a program that ends with `N passed, M failed`."""
    text = (result.stdout + result.stderr).decode("utf-8", "replace")
    failed = False
    for case in re.finditer(r"^\[ RUN      \] (\S+)\n(.*?)^\[ +(OK|FAILED|SKIPPED) +\] \1 ", text, re.M | re.S):
        name = f"{guest.name} {case.group(1)}"
        if case.group(3) == "OK":
            report.ok(name)
        elif case.group(3) == "SKIPPED":
            report.skip(name, case.group(2).strip().split("\n")[-1])
        else:
            failed = True
            report.fail(name, case.group(2)[:3000])
    if result.status != 0 and not failed:
        report.fail(f"{guest.name} {Path(program).name}", f"ended with {result.status}\n{text[-3000:]}")


def add_doctor(guest):
    """What ktap says that works there, and what it finds for a script."""
    script = 'trace probe:vfs_read { exit() } trace probe:/bin/load:probed_half { exit() }'
    return (guest.add(machine.Job(["/bin/ktap", "doctor", "--json"], timeout_s=30 * SLOWER)),
            guest.add(machine.Job(["/bin/ktap", "--explain", "-v", "-e", script], timeout_s=30 * SLOWER)))


def doctor_problems(rows, verdicts, explain):
    """Rows of `ktap doctor` that do not say what the cases found, or what ktap does for a script."""
    problems = []
    for row in rows:
        works, name = row.get("works"), row.get("check")
        verdict = verdicts.get(DOCTOR_CASES.get(name))
        if verdict in ("pass", "skip") and works != (verdict == "pass"):
            problems.append(f"{name}: {'works' if works else 'does not work'} ({row['note']}), and the case "
                            f"{DOCTOR_CASES[name]}: {verdict}")
        fact = DOCTOR_FACTS.get(name)
        if fact and explain and works != kernel_case.has_one_of(explain, [fact]):
            problems.append(f"{name}: {'works' if works else 'does not work'} ({row['note']}), and the fact {fact} "
                            "says otherwise")
    known = {row.get("check") for row in rows}
    return problems + [f"no row {name}" for name in [*DOCTOR_CASES, *DOCTOR_FACTS] if name not in known]


def judge_doctor(guest, jobs, results, verdicts, report):
    said, explained = ((results[job].stdout + results[job].stderr).decode("utf-8", "replace").split("\n")
                       for job in jobs)
    rows = [json.loads(line) for line in said if line.startswith("{")]
    if not rows:
        report.fail(f"{guest.name} doctor", results[jobs[0]].stderr.decode("utf-8", "replace"))
        return
    problems = doctor_problems(rows, verdicts, explained if results[jobs[1]].status == 0 else [])
    if problems:
        report.fail(f"{guest.name} doctor", "\n".join(problems))
    else:
        report.ok(f"{guest.name} doctor: what it says and what the cases found")


class Nobody:
    """A report that nobody reads."""

    def ok(self, case):
        pass

    def fail(self, case, text):
        pass

    def skip(self, case, reason):
        pass


class Prefixed:
    """A report whose cases carry the kernel's name."""

    def __init__(self, report, name):
        self.report, self.name, self.verdicts = report, name, {}

    def ok(self, case):
        self.verdicts.setdefault(case.split(":")[0], "pass")
        self.report.ok(f"{self.name} {case}")

    def fail(self, case, text):
        self.verdicts[case.split(":")[0]] = "fail"
        self.report.fail(f"{self.name} {case}", text)

    def skip(self, case, reason):
        self.verdicts.setdefault(case.split(":")[0], "skip")
        self.report.skip(f"{self.name} {case}", reason)


def parts_of(program):
    """Settings of the environment, the file, its arguments."""
    words = program.split()
    at = next(index for index, word in enumerate(words) if "=" not in word)
    return words[:at], words[at], words[at + 1:]


def run_kernel(name, options, report):
    arch = name.rsplit("-", 1)[1]
    vmlinuz, reason = fetch(name, options.fetch_seconds)
    ktap = dict(word.split("=", 1) for word in options.ktap).get(arch)
    if vmlinuz is not None and (ktap is None or not Path(ktap).is_file()):
        reason = f"no ktap for {arch}" + (f": {ktap}" if ktap else " (--ktap)")
    if reason:
        report.skip(name, reason)
        return
    guest = Guest(name, ktap, options.build, options.ktapc and options.ktapc.absolute(), vmlinuz.parent)
    paths = [path for path in sorted((ROOT / "tests/kernel").glob("*.case"))
             if not options.only or any(part in path.name for part in options.only)]
    paths = add_cases(guest, paths, report)
    doctor = add_doctor(guest)
    if options.dry_runs:
        add_dry_runs(guest)
    programs = {}
    for program in options.program if arch == "amd64" else []:
        environment, file, words = parts_of(program)
        guest.files.program(file, f"bin/{Path(file).name}")
        command = [f"/bin/{Path(file).name}", *words]
        programs[program] = guest.add(machine.Job(command, timeout_s=300 * SLOWER, environment=environment))
    try:
        run = machine.run(arch, vmlinuz, guest.files, guest.jobs, options.timeout, options.processors)
    except machine.GuestError as error:
        report.fail(name, str(error))
        return
    print(f"{name}: up after {run.boot_s:.2f} s, done after {run.total_s:.1f} s", flush=True)
    prefixed = Prefixed(report, name)
    for path in paths:
        kernel_case.judge(path, lambda case: guest.outcome(case, run.results), prefixed, where=guest.where)
    judge_doctor(guest, doctor, run.results, prefixed.verdicts, report)
    judge_dry_runs(guest, run.results, report)
    for program, job in programs.items():
        judge_program(guest, parts_of(program)[1], run.results[job], report)
    if run.complaints:
        report.fail(f"{name} kernel log", "\n".join(run.complaints[:20]))


def cannot_run(name):
    """Why this guest cannot run here, or None."""
    arch = name.rsplit("-", 1)[1]
    for program, package_set in ((machine.MACHINES[arch][0][0], "guests"), (COMPILERS[arch] + "g++", "cross")):
        if not shutil.which(program):
            return f"{program} is not installed (tools/setup {package_set})"
    return None


def self_test():
    """Frames cut at every place, an archive that cpio would read, a dynamic program's libraries."""
    wire = machine.Wire("n0", 2)
    stream = b"[    0.1] boot\x1en0 BEGIN 700\n\x1en0 OUT 1 7\nab\x1en0 c\x1en0 ERR 1 0\n\x1en0 STATUS 1 768\n" \
             b"\x1en0 STATUS 0 9\n\x1en0 LOG 4\nlog\n\x1en0 END\n"
    for index in range(len(stream)):
        wire.feed(stream[index:index + 1])
    good = wire.done and wire.boot_s == 0.7 and wire.log == "log\n" and wire.console == b"[    0.1] boot" and \
        wire.results == [machine.Result(status=-9), machine.Result(b"ab\x1en0 c", b"", 3)]
    files = Initramfs()
    files.program("/proc/self/exe", "bin/python")
    names = set(files.entries)
    good = good and "bin/python" in names and any("libc.so" in name for name in names)
    archive = files.archive()
    good = good and archive[:6] == b"070701" and b"TRAILER!!!" in archive[-16:] and len(archive) % 4 == 0
    text = machine.job_list([machine.Job(["a", "b c"], "/x", 3, (15, 100), ["l"], ["N=1"], ["m"])], "n")
    wanted = "nonce n|job 0|directory /x|timeout 3|signal 15 100|environment N=1|module m|load 1|l|command 2|a|b c|end|"
    good = good and text == wanted.replace("|", "\n")
    killed = "a invoked oom-killer: b\n Call Trace:\n oom-kill:constraint=CONSTRAINT_{}\n Killed process 7\n"
    good = good and not machine.complaints(killed.format("MEMCG") * 2)
    good = good and len(machine.complaints(killed.format("NONE") + killed.format("MEMCG") + "Call Trace:\n")) == 2
    rows = [{"check": name, "works": True, "note": ""} for name in [*DOCTOR_CASES, *DOCTOR_FACTS]]
    facts = [kernel_case.FACTS + " ".join(DOCTOR_FACTS.values())]
    good = good and not doctor_problems(rows, {"page_faults": "pass"}, facts)
    wrong = doctor_problems(rows[1:], {"page_faults": "skip"}, [kernel_case.FACTS])
    good = good and len(wrong) == 2 + len(DOCTOR_FACTS)
    print("guest self-test: " + ("all as it should be" if good else "not as it should be"))
    return 0 if good else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # QEMU is ended on the way out
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--ktap", action="append", default=[], help="ARCHITECTURE=FILE")
    parser.add_argument("--ktapc", type=Path, help="compiles the scripts here; the guests run what it makes")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="where helpers are compiled to")
    parser.add_argument("--only", action="append", default=[], help="cases whose file name holds one of these")
    parser.add_argument("--program", action="append", default=[], help="[NAME=VALUE…] program arguments, one word")
    parser.add_argument("--dry-runs", action="store_true", help="every script of the tests through the verifier too")
    parser.add_argument("--name", default="guests")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one guest")
    parser.add_argument("--fetch-seconds", type=float, default=600, help="for one kernel")
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL")
    options = parser.parse_args()
    kernels = [full_name(text) for text in options.kernels] or known_kernels()
    cases = [path.name for path in (ROOT / "tests/kernel").glob("*.case")]
    for part in options.only:
        if not any(part in name for name in cases):
            raise SystemExit(f"run_cases.py: --only {part}: no case has that in its name (one --only for each part)")
    if not options.ktap:
        folders = {arch: "build" if arch == "amd64" else f"build-{arch}" for arch in COMPILERS}
        options.ktap = [f"{arch}={ROOT / folder}/ktap" for arch, folder in folders.items()]
    report = Report(options.name)
    for name in kernels:
        if reason := cannot_run(name):
            report.skip(name, reason)
        else:
            run_kernel(name, options, report)
    if report.skipped and not report.passed and not report.failed:
        print(f"skipped: {report.skipped[0][1]}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
