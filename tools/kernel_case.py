#!/usr/bin/env python3
"""Kernel cases: a script, the load to put on it, and what must come out, to the event (format: tests/README.md).

The load is tests/kernel/load.c, which makes exact numbers of system calls; ktap traces that process alone, so
other programs of the machine neither disturb nor are looked at. Needs root and eBPF; else every case is skipped.

Usage: kernel_case.py --ktap KTAP --load LOAD [--name NAME] [--only PART] [--without FACT,...]
[--at-once N] FOLDER;
kernel_case.py --self-test
"""
import argparse
import concurrent.futures
import ctypes
import errno
import os
import platform
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from report import Report

ROOT = Path(__file__).resolve().parent.parent
BANNER = "Tracing..."
SCRIPT = "case.kp"
FACTS = "ktap: this kernel has "
EXPLAIN_WITH = r"/ with \S+$"
TARGET_PID = "@PID@"
HEAD = {"name", "options", "args", "file", "load", "how", "exit", "signal", "timeout", "stderr", "both", "guest",
        "needs", "without", "machine", "not_on", "kernel", "only_guest", "guest_load", "modules",
        "config"}
COMPARE = {"=": int.__eq__, ">=": int.__ge__, "<=": int.__le__}


class CaseError(Exception):
    """The case file itself is wrong."""


@dataclass
class Case:
    head: dict = field(default_factory=dict)
    script: str = ""
    stdout: list = None          # exact lines, or None when only predicates count
    expect: list = field(default_factory=list)


@dataclass
class Outcome:
    stdout: list
    stderr: list                 # without the banner
    status: int
    explain: list


def parse_case(text):
    case, section = Case(), "head"
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("--- "):
            section = line[4:].strip()
            if section not in ("script", "stdout", "expect"):
                raise CaseError(f"line {number}: no such section: {section}")
            if section == "stdout":
                case.stdout = []
        elif section == "script":
            case.script += line + "\n"
        elif section == "stdout":
            case.stdout.append(line)
        elif line.strip() == "" or line.startswith("#"):
            continue
        elif section == "expect":
            case.expect.append((number, line.strip()))
        else:
            key, colon, value = line.partition(":")
            if not colon or key not in HEAD or key in case.head:
                raise CaseError(f"line {number}: unknown or repeated: {line}")
            case.head[key] = value.strip()
    if case.stdout and case.stdout[-1] == "":
        case.stdout.pop()
    if "file" in case.head and not case.script:
        case.script = (ROOT / case.head["file"]).read_text()
    if not case.script.strip() or (case.stdout is None and not case.expect):
        raise CaseError("a case has a script, and a stdout or an expect section")
    if case.head.get("how", "child") not in ("child", "pid", "beside", "none"):
        raise CaseError("how: child, pid, beside or none")
    if case.head.get("both", "equal") not in ("equal", "judged"):
        raise CaseError("both: equal or judged")
    return case


# ---- predicates: each takes the outcome and its own words, and gives a complaint or "" ----------------------


def row_counts(lines, key):
    """The counts that lines give for a key: a row of print_hist, `key: n`, or `key<TAB>n`."""
    row = re.compile(r"^(?:\s*" + re.escape(key) + r" \|@*\s*|" + re.escape(key) + r":? *[\t ])(-?\d+)\s*$")
    return [int(match.group(1)) for match in map(row.match, lines) if match]


def compare(what, got, sign, wanted):
    return "" if COMPARE[sign](got, int(wanted)) else f"{what} is {got}, expected {sign} {wanted}"


def matching(lines, pattern):
    return sum(1 for line in lines if re.search(pattern, line))


def lost_total(outcome):
    return sum(map(int, re.findall(r"^ktap: lost (\d+) ", "\n".join(outcome.stderr), re.M)))


def expect_count(outcome, key, or_lost, sign, number):
    counts = row_counts(outcome.stdout, key)
    if len(counts) != 1:
        return f"{len(counts)} rows for '{key}', expected one"
    total = counts[0] + (lost_total(outcome) if or_lost else 0)
    return compare(f"count of '{key}'{or_lost or ''}", total, sign, number)


def expect_absent(outcome, key):
    return f"a row for '{key}'" if row_counts(outcome.stdout, key) else ""


def expect_line(outcome, text):
    count = outcome.stdout.count(text)
    return "" if count == 1 else f"{count} lines '{text}', expected one"


def expect_lines(outcome, pattern, sign, number):
    return compare(f"number of lines with /{pattern}/", matching(outcome.stdout, pattern), sign, number)


def expect_sum(outcome, pattern, sign, number):
    total = sum(int(match.group(1)) for match in (re.search(pattern, line) for line in outcome.stdout) if match)
    return compare(f"sum of the numbers in lines with /{pattern}/", total, sign, number)


def expect_stderr(outcome, pattern, sign, number):
    return compare(f"number of stderr lines with /{pattern}/", matching(outcome.stderr, pattern), sign, number)


def expect_printed(outcome, pattern, sign, number):
    total = matching(outcome.stdout, pattern) + lost_total(outcome)
    return compare(f"lines with /{pattern}/ plus reported lost", total, sign, number)


def expect_lost(outcome, sign, number):
    return compare("number reported lost", lost_total(outcome), sign, number)


def expect_alternate(outcome, first, second):
    turns = [re.search(first, line) is not None for line in outcome.stdout
             if re.search(first, line) or re.search(second, line)]
    if not turns:
        return "no line of either kind"
    wrong = [index for index, turn in enumerate(turns) if turn != (index % 2 == 0)]
    return f"line {wrong[0] + 1} of {len(turns)} is out of turn" if wrong else ""


def expect_explain(outcome, pattern, facts):
    if facts and not has_one_of(outcome.explain, facts.split("|")):
        return ""
    if matching(outcome.explain, pattern):
        return ""
    return f"--explain says nothing with /{pattern}/:\n" + "\n".join(outcome.explain)


def has_one_of(explain, facts):
    """Whether ktap says that the kernel has one of the facts, or all of `a+b`."""
    line = next((line for line in explain if line.startswith(FACTS)), FACTS)
    there = set(line[len(FACTS):].split(";", 1)[0].split())
    return any(set(fact.split("+")) <= there for fact in facts)


NUMBER = r" (=|>=|<=) (\d+)"
PREDICATES = [
    (re.compile(r"count (.+?)( \+ lost)?" + NUMBER), expect_count),
    (re.compile(r"absent (.+)"), expect_absent),
    (re.compile(r"line (.*)"), expect_line),
    (re.compile(r"lines /(.*)/" + NUMBER), expect_lines),
    (re.compile(r"sum /(.*\(.*\).*)/" + NUMBER), expect_sum),
    (re.compile(r"stderr /(.*)/" + NUMBER), expect_stderr),
    (re.compile(r"printed /(.*)/ \+ lost" + NUMBER), expect_printed),
    (re.compile(r"lost" + NUMBER), expect_lost),
    (re.compile(r"alternate /(.*)/ then /(.*)/"), expect_alternate),
    (re.compile(r"explain /(.*)/(?: with (\S+))?"), expect_explain),
]

NESTED = re.compile(r"ktap: lost [0-9]+ \S+: nested probe skipped by the kernel")


def check(case, outcome):
    """Everything that is wrong with an outcome, one line each."""
    problems = []
    wanted = int(case.head.get("exit", "0"))
    if outcome.status != wanted:
        problems.append(f"exit status {outcome.status}, expected {wanted}")
    if case.stdout is not None and case.stdout != outcome.stdout:
        problems.append("stdout is not as given")
    for number, text in case.expect:
        for pattern, predicate in PREDICATES:
            match = pattern.fullmatch(text)
            if match:
                problem = predicate(outcome, *match.groups())
                if problem:
                    problems.append(f"line {number}: {problem}")
                break
        else:
            raise CaseError(f"line {number}: no such predicate: {text}")
    # What ktap says on stderr is expected, or is a problem; interrupts may come while a program runs on any busy
    # machine, and numbers that suffer from it are looked at above.
    asked = any("lost" in text or text.startswith("stderr") for _, text in case.expect)
    if case.head.get("stderr") != "any" and not asked:
        problems += [f"on stderr: {line}" for line in outcome.stderr if not NESTED.fullmatch(line)]
    return problems


# ---- running --------------------------------------------------------------------------------------------------


class Reader:
    """Reads a pipe on a thread, so that neither side ever waits for the other; sees the banner go by."""

    def __init__(self, stream):
        self.data = b""
        self.armed = threading.Event()
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream):
        while chunk := os.read(stream.fileno(), 65536):
            self.data += chunk
            if BANNER.encode() in self.data:
                self.armed.set()
        self.armed.set()

    def bytes(self):
        self.thread.join(5)
        return self.data


@dataclass
class Invocation:
    """What a case starts, as words; the script stands in the working directory as SCRIPT. A `target` is started first,
    waits for a byte before it begins, and gets it once ktap is armed; TARGET_PID in the command is its number."""
    command: list
    target: list
    signal: tuple                # name, milliseconds after ktap has armed; or nothing
    timeout_s: float
    explain: list                # the command of `--explain`, when a predicate asks for it


def invocation(case, ktap, load):
    how = case.head.get("how", "child" if "load" in case.head else "none")
    load_command = [str(load)] + shlex.split(case.head.get("load", ""))
    options = shlex.split(case.head.get("options", ""))
    args = shlex.split(case.head.get("args", "").replace("@LOAD@", str(load)))
    command = [str(ktap), *options, SCRIPT, *args]
    target = []
    if how == "child":
        command += ["--", *load_command]
    elif how in ("pid", "beside"):
        words = load_command[1:]
        at = 2 if words[0] == "leave" else 0    # it has left before ktap comes
        target = [load_command[0], *words[:at], "wait", "1", *words[at:]]
        command[1:1] = ["-p", TARGET_PID] if how == "pid" else []
    name, _, delay_ms = case.head.get("signal", "").partition(" ")
    asked = any(text.startswith("explain ") for _, text in case.expect)
    return Invocation(command, target, (name, int(delay_ms or "0")) if name else (),
                      float(case.head.get("timeout", "30")),
                      [str(ktap), "--explain", "-v", *options, SCRIPT, *args] if asked else [])


def script_of(case, load, file=None):
    """`@LOAD@` in a script is the path of the load, `@ADDRESS:NAME@` where `nm` says that its function is; `file` where
    the load is here, when it runs elsewhere."""
    def address(match):
        symbols = subprocess.run(["nm", file or load], capture_output=True, text=True, check=True).stdout
        for line in symbols.splitlines():
            if line.split()[2:] == [match.group(1)]:
                return "0x" + line.split()[0]
        raise CaseError(f"{load} has no function {match.group(1)}")
    return re.sub(r"@ADDRESS:(\w+)@", address, case.script.replace("@LOAD@", str(load)))


def lines_of(data):
    text = data.decode("utf-8", "replace")
    return text.removesuffix("\n").split("\n") if text else []


def outcome_of(stdout, stderr, status, explain=b""):
    """From the bytes that came out."""
    return Outcome(lines_of(stdout), [line for line in lines_of(stderr) if not line.startswith(BANNER)], status,
                   explain.decode("utf-8", "replace").split("\n"))


def run_case(case, ktap, load, directory):
    """Runs a case on this machine."""
    (directory / SCRIPT).write_text(script_of(case, load))
    what = invocation(case, ktap, load)
    target, command = None, what.command
    if what.target:
        target = subprocess.Popen(what.target, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        command = [str(target.pid) if word == TARGET_PID else word for word in command]
    try:
        outcome = run_armed(what, command, target, directory)
    finally:
        if target:
            target.stdin.close()
            target.kill()
            target.wait()
    if what.explain:
        plan = subprocess.run(what.explain, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=what.timeout_s, check=False)
        outcome.explain = (plan.stdout + plan.stderr).split("\n")
    return outcome


def run_armed(what, command, target, directory):
    deadline = time.monotonic() + what.timeout_s
    process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    stdout, stderr = Reader(process.stdout), Reader(process.stderr)
    try:
        if target or what.signal:
            stderr.armed.wait(what.timeout_s)
        if target:
            target.stdin.write(b"g")
            target.stdin.flush()
        if what.signal:
            time.sleep(what.signal[1] / 1000)
            process.send_signal(getattr(signal, "SIG" + what.signal[0]))
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, BrokenPipeError) as error:
        process.kill()
        process.wait()
        raise CaseError(f"no end within {what.timeout_s:g} seconds ({type(error).__name__})\n"
                        + "\n".join(lines_of(stderr.bytes()))) from error
    return outcome_of(stdout.bytes(), stderr.bytes(), status)


def describe(problems, outcome):
    text = "\n".join(problems)
    for name, lines in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        shown = lines[:15] + ([f"… {len(lines) - 15} more lines"] if len(lines) > 15 else [])
        text += "".join(f"\n{name}| {line}" for line in shown)
    return text


def in_user_space(case):
    """The same case with every handler kept in user space; what --explain says is then another matter."""
    head = dict(case.head, options=case.head.get("options", "") + " --placement=user")
    expect = [(number, text) for number, text in case.expect if not text.startswith("explain ")]
    return Case(head, case.script, case.stdout, expect)


def on_older_kernel(case, facts):
    """The same case as if the kernel lacked these facts; --explain is asked only what depends on a fact."""
    head = dict(case.head, options=case.head.get("options", "") + f" --without={facts}")
    expect = [(number, text) for number, text in case.expect
              if not text.startswith("explain ") or re.search(EXPLAIN_WITH, text)]
    return Case(head, case.script, case.stdout, expect)


def judge(path, run, report, without="", where=()):
    """One result a case; one more for each set of facts after `without:`; with `both:` one in user space. `run` gives
    a case's outcome; `where`: the guest's machine and kernel, nothing on this one."""
    name = path.stem
    try:
        case = parse_case(path.read_text())
        if where and "guest_load" in case.head:
            case.head["load"] = case.head["guest_load"]
        if not where and "only_guest" in case.head:
            report.skip(path.stem, "in guests alone: " + case.head["only_guest"])
            return
        if reason := not_for(case, *(where or (platform.machine(), platform.release()))):
            report.skip(path.stem, reason)
            return
        if without:
            case = on_older_kernel(case, without)
        name = f"{path.stem}: {case.head.get('name', '')}"
        first = judge_run(name, case, run, report)
        for facts in case.head.get("without", "").split() if not without else []:
            judge_run(f"{name} (without {facts})", on_older_kernel(case, facts), run, report)
        if "both" not in case.head:
            return
        name += " (in user space)"
        second = judge_run(name, in_user_space(case), run, report)
        if case.head["both"] == "equal" and sorted(first.stdout) != sorted(second.stdout):
            problem = "the two placements print different things"
            report.fail(name, describe([problem], first) + "\n" + describe(["in user space:"], second))
    except CaseError as error:
        report.fail(name, str(error))


def run_here(ktap, load):
    """A `run` for judge(): on this machine, each case in a fresh folder."""
    def run(case):
        with tempfile.TemporaryDirectory(prefix="ktap-kernel-") as directory:
            return run_case(case, ktap, load, Path(directory))
    return run


# What a case needs → what ktap says where it is not there, and the reason to skip it.
NOT_EVERYWHERE = {
    "probe:": (r"cannot trace its functions|cannot probe where its functions begin",
               "this kernel cannot trace its functions, or not by probes"),
    "function_types": (r"type information \(BTF\) does not have the function",
                       "this kernel's type information leaves its functions out"),
    "types": ("does not describe its types", "this kernel does not describe its types"),
    "kprobe_multi": ("has no links for many", "this kernel attaches to its functions one by one"),
    "preempt_count": ("does not show where it counts interrupts",
                      "this kernel does not show where it counts interrupts"),
    "write_user": ("lets no program write to", "this kernel lets no program write to processes"),
    "override": ("lets no program set results", "this kernel lets no program set results"),
    "mem:x": ("none on its own code", "this kernel has no memory breakpoints on its own code"),
    "tun": ("no function 'tun_chr_open'", "this kernel has not loaded the module tun"),
    "counters": ("has no performance counters", "this machine has no performance counters"),
    "instructions": ("has no counter for it", "this machine's processor does not count instructions"),
}


def not_for(case, machine, release):
    """Why the case does not run on this architecture or kernel, or ""."""
    wanted = case.head.get("machine", machine)
    least = case.head.get("kernel", "0")
    if wanted != machine:
        return f"for {wanted} alone"
    lacking, _, why = case.head.get("not_on", "").partition(" ")
    if machine in lacking.split(","):
        return why
    return f"needs Linux {least}" if version(release) < version(least) else ""


def version(release):
    return [int(number) for number in re.match(r"\d+(?:\.\d+)?", release).group().split(".")]


def missing_here(case, outcome):
    """Why the case cannot run in this kernel, by what ktap says is not there, or ""."""
    text = "\n".join(outcome.stderr)
    if outcome.status != 2:
        return ""
    for word in shlex.split(case.head.get("needs", "")):
        refusal, reason = NOT_EVERYWHERE.get(word, ("", ""))
        if refusal and re.search(refusal, text):
            return reason
        if re.search(r"has no field '" + re.escape(word) + "'", text):
            return f"this kernel's event has no field '{word}'"
        if f"no event matches '{word}'" in text:
            return f"this kernel has no event '{word}'"
    return ""


def judge_run(name, case, run, report):
    outcome = run(case)
    if missing := missing_here(case, outcome):
        report.skip(name, missing)
        return outcome
    problems = check(case, outcome)
    if problems:
        report.fail(name, describe(problems, outcome))
    else:
        report.ok(name)
    return outcome


def cannot_trace():
    """Why kernel cases cannot run here, or None. Asks the kernel for the smallest of maps."""
    if os.geteuid() != 0:
        return "needs root"
    number = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(platform.machine())
    if number is None:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 32)(2, 4, 8, 1)  # BPF_MAP_CREATE: an array of one 8-byte value
    fd = libc.syscall(number, 0, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if fd < 0:
        return f"needs eBPF: bpf(BPF_MAP_CREATE) gives {errno.errorcode.get(ctypes.get_errno(), 'an error')}"
    os.close(fd)
    return None


class Recorded:
    """A report that is read out later."""

    def __init__(self):
        self.lines, self.failed = [], False

    def ok(self, case):
        self.lines.append(("ok", case))

    def fail(self, case, text):
        self.failed = True
        self.lines.append(("fail", case, text))

    def skip(self, case, reason):
        self.lines.append(("skip", case, reason))

    def tell(self, report):
        for verdict, *words in self.lines:
            getattr(report, verdict)(*words)


def judge_beside_others(paths, options):
    """{path: Recorded}: most of a case is waiting, so some run at a time. Each has a load of its own: a probe is on
    a file, whoever runs it."""
    with tempfile.TemporaryDirectory(prefix="ktap-loads-") as directory, \
            concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        loads = queue.SimpleQueue()
        for number in range(options.at_once):
            load = Path(directory) / str(number) / options.load.name
            load.parent.mkdir()
            shutil.copy2(options.load, load)
            loads.put(load)

        def judge_one(path):
            recorded, load = Recorded(), loads.get()
            try:
                judge(path, run_here(options.ktap.resolve(), load), recorded, options.without)
            finally:
                loads.put(load)
            return recorded
        return dict(zip(paths, pool.map(judge_one, paths)))


def run_folder(options):
    report = Report(options.name)
    missing = [str(path) for path in (options.ktap, options.load) if not path.is_file()]
    if missing:
        report.fail("(all)", f"there is no program {' and no '.join(missing)}")
        return report.finish()
    reason = cannot_trace()
    paths = [path for path in sorted(options.folder.glob("*.case")) if options.only in path.name]
    if not paths:
        raise SystemExit(f"kernel_case.py: --only {options.only}: no case has that in its name")
    if reason:
        for path in paths:
            report.skip(path.stem, reason)
        print(f"skipped: {reason}")
    else:
        beside = judge_beside_others(paths, options) if options.at_once > 1 else {}
        for path in paths:
            if path in beside and not beside[path].failed:
                beside[path].tell(report)
                continue
            if path in beside:  # the others may have disturbed it: what it gives alone counts
                print(f"alone {path.stem}", flush=True)
            judge(path, run_here(options.ktap.resolve(), options.load.resolve()), report, options.without)
    if not paths:
        report.fail("(none)", "no case found")
    return report.finish()


# A stand-in for ktap: prints what the script says in `#out` and `#err` lines, ends with `#status`.
FAKE_KTAP = r'''#!/usr/bin/env python3
import sys, time
path = next(word for word in sys.argv if word.endswith("case.kp"))
status = 0
print("Tracing... Hit Ctrl-C to end.", file=sys.stderr, flush=True)
for line in open(path):
    word, _, rest = line.rstrip("\n").partition(" ")
    if word == "#out": print(rest)
    if word == "#placement": print("user" if "--placement=user" in sys.argv else "kernel")
    if word == "#argv": print(" ".join(sys.argv[1:]).replace(path, "case.kp"))
    if word == "#facts" and "--explain" in sys.argv: print("ktap: this kernel has", rest, file=sys.stderr)
    if word == "#err": print(rest, file=sys.stderr)
    if word == "#status": status = int(rest)
    if word == "#sleep": time.sleep(float(rest))
sys.exit(status)
'''
ROWS = "#out " + " " * 26 + "read |@@@@  50\n#out write: 7\n#out open\t3\n"
SELF_TEST_CASES = [
    (True, "load: a 1\n", ROWS, "count read = 50\ncount write >= 7\ncount open <= 3\nabsent close"),
    (False, "", ROWS, "count read = 51"),
    (False, "", ROWS, "count close = 0"),
    (False, "", ROWS, "absent read"),
    (True, "", "#out a 1\n#out b 1\n#out a 2\n#out b 2\n", "alternate /^a/ then /^b/\nlines /^a/ = 2\nline a 1"),
    (False, "", "#out a 1\n#out a 2\n#out b 2\n", "alternate /^a/ then /^b/"),
    (False, "", "#out c\n", "alternate /^a/ then /^b/"),
    (True, "", "#out x\n#out x\n#err ktap: lost 3 case.kp:1: ring buffer full\n", "printed /x/ + lost = 5"),
    (False, "", "#out x\n#out x\n#err ktap: lost 2 case.kp:1: ring buffer full\n", "printed /x/ + lost = 5"),
    (False, "", "#out x\n#err ktap: lost 2 case.kp:1: ring buffer full\n", "lost = 0"),
    (False, "", "#out x\n#err something odd\n", "line x"),
    (True, "stderr: any\n", "#out x\n#err something odd\n", "line x"),
    (True, "", "#out x\n#err ktap: lost 2 case.kp:9: nested probe skipped by the kernel\n", "line x"),
    (False, "", "#out x\n#err ktap: lost 2 case.kp:9: ring buffer full\n", "line x"),
    (True, "", "#out x\n#err something odd\n", "stderr /odd/ = 1"),
    (False, "", "#out x\n#out x\n", "line x"),
    (True, "", "#out x: 4\n#err ktap: lost 3 case.kp:1: ring buffer full\n", "count x + lost = 7"),
    (True, "", "#out a, 7: 4\n", "count a, 7 = 4\nabsent a, 8"),
    (True, "both: equal\n", "#out x\n", "line x\nexplain /x/"),
    (False, "both: equal\n", "#placement\n", "lines /user|kernel/ = 1"),
    (True, "both: judged\n", "#placement\n", "lines /user|kernel/ = 1"),
    (False, "both: judged\n", "#placement\n", "line kernel"),
    (False, "both: perhaps\n", "#out x\n", "line x"),
    (True, "exit: 3\n", "#out x\n#status 3\n", "line x"),
    (False, "", "#out x\n#status 3\n", "line x"),
    (False, "timeout: 0.3\n", "#out x\n#sleep 5\n", "line x"),
    (True, "signal: TERM\nexit: -15\n", "#out x\n#sleep 5\n", "lost = 0"),
    (True, "load: a 1\nargs: 7\noptions: -q\n", "#argv\n", "lines /^-q case.kp 7 -- .* a 1$/ = 1"),
    (False, "", "#out x\n", "surprise = 1"),
    (False, "colour: red\n", "#out x\n", "line x"),
    (False, "", "#out x\n", ""),
    (True, "without: a a,b\n", "#argv\n", "lines /^case.kp$|^--without=a(,b)? case.kp$/ = 1"),
    (False, "without: a a,b\n", "#argv\n", "line case.kp"),
    (False, "without: a a,b\n", "#argv\n", "lines /^case.kp$|^--without=a case.kp$/ = 1"),
    (None, "needs: prio\n", "#err case.kp:1:2: error: e has no field 'prio' [K0402]\n#status 2\n", "line x"),
    (False, "needs: prio\n", "#err case.kp:1:2: error: e has no field 'pid' [K0402]\n#status 2\n", "line x"),
    (False, "needs: prio\n", "#err e has no field 'prio'\n", "line x"),
    (None, "needs: a:b\n", "#err case.kp:1:2: error: no event matches 'a:b' [K0401]\n#status 2\n", "line x"),
    (False, "needs: a:c\n", "#err case.kp:1:2: error: no event matches 'a:b' [K0401]\n#status 2\n", "line x"),
    (None, "needs: counters\n", "#err ktap: error: x: this machine has no performance counters\n#status 2\n", "line x"),
    (None, "machine: pdp11\n", "#out x\n", "line x"),
    (None, f"not_on: pdp11,{platform.machine()} it has none\n", "#out x\n", "line x"),
    (True, "not_on: pdp11 it has none\n", "#out x\n", "line x"),
    (None, "kernel: 99.1\n", "#out x\n", "line x"),
    (True, "kernel: 2.6\n", "#out x\n", "line x"),
    (None, "only_guest: it is cruel\n", "#out x\n", "line x"),
    (True, "load: a 1\nguest_load: b 2\nmodules: brd\n", "#argv\n", "lines / -- .* a 1$/ = 1"),
    (True, "", "#out x 7 y\n#out x 8 y\n#out z 9\n", "sum /^x (\\d+)/ = 15"),
    (False, "", "#out x 7 y\n#out x 8 y\n", "sum /^x (\\d+)/ = 16"),
    (False, "", "#out x 7 y\n", "sum /^x \\d+/ = 7"),
    (False, "needs: probe:\n", "#err ktap: error: x: this machine has no performance counters\n#status 2\n", "line x"),
    (True, "", "#out explained\n", "explain /^explained$/"),
    (False, "", "#out x\n", "explain /^explained$/"),
    (True, "", "#out explained\n#facts b c; not a\n", "explain /^explained$/ with a|b"),
    (False, "", "#out x\n#facts b c; not a\n", "explain /^explained$/ with a|b"),
    (True, "", "#out x\n#facts b c; not a d\n", "explain /^explained$/ with a|d"),
    (True, "", "#out x\n", "explain /^explained$/ with a"),
    (True, "", "#out x\n#facts b c; not a\n", "explain /^explained$/ with a+b"),
    (False, "", "#out x\n#facts b c; not a\n", "explain /^explained$/ with a|b+c"),
    (False, "without: d\n", "#out x\n#facts b c; not a\n", "explain /^explained$/ with a|b"),
]


def self_test():
    """Every predicate both ways, against the stand-in; None is a case that is skipped."""
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        fake = Path(directory) / "ktap"
        fake.write_text(FAKE_KTAP)
        fake.chmod(0o755)
        for index, (passes, head, script, expect) in enumerate(SELF_TEST_CASES):
            path = Path(directory) / f"{index}.case"
            path.write_text(f"{head}--- script\n{script}" + (f"--- expect\n{expect}\n" if expect else ""))
            report = Report("")
            with open(os.devnull, "w", encoding="utf-8") as quiet:
                keep, sys.stdout = sys.stdout, quiet
                judge(path, run_here(fake, Path("/bin/true")), report)
                sys.stdout = keep
            result = False if report.failed else True if report.passed else None  # None: skipped
            if result is not passes:
                failures.append(f"case {index}: {result}, not {passes}: {expect}")
    print("\n".join(failures) or "kernel case self-test: all as it should be")
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ktap", type=Path, required=True)
    parser.add_argument("--load", type=Path, required=True)
    parser.add_argument("--name", default="kernel")
    parser.add_argument("--only", default="", help="cases whose file name holds this")
    parser.add_argument("--without", default="", help="facts that the kernel shall lack, in every case")
    parser.add_argument("--at-once", type=int, default=6, help="so many cases at a time; what fails runs again alone")
    parser.add_argument("folder", type=Path)
    return run_folder(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
