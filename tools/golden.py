#!/usr/bin/env python3
"""Golden cases: a script that holds in comments what ktap has to say about it (format: tests/README.md).

Each folder of tests/golden/ is a kind of case and stands for one command; each .kp file in it is a case. The part
before the line `#---` is written to a fresh folder under the case's own name and given to ktap there, so paths in
its output are bare file names; what ktap prints is compared with the lines behind, to the byte.

Usage: golden.py --ktap KTAP [--name NAME] [--update] [--through-ktapc [--strip]] [--only PART] FOLDER…
       golden.py --self-test
--update rewrites the expectations instead of judging; it refuses where CI is set.
--through-ktapc compiles each case first (the program ktapc beside KTAP) and gives ktap the compiled script under the
case's own name: everything must come out as from the source. With --strip standard error, which has no lines then, is
not compared.
"""
import argparse
import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from report import Report

# Kind of case → (what ktap is called with, exit status that is expected where the case names none).
KINDS = {
    "tokens": (["--dump=tokens"], 0),
    "ast": (["--dump=ast"], 0),
    "bytecode": (["-b"], 0),
    "ssa": (["--dump=ssa"], 0),
    "bpf": (["--dump=bpf"], 0),
    "run": ([], 0),
    "diag": (["--check"], 2),
    "explain": (["--explain"], 0),
    "fmt": (["fmt"], 0),
}
# Kind → what in its output changes with every change of the backend and is not what a case is about.
INSTRUCTIONS = (re.compile(r"\b\d+ instructions\b"), "N instructions")
MASKS = {"diag": [INSTRUCTIONS],
         "explain": [INSTRUCTIONS,
                     (re.compile(r" +\d+ insns +[\d.]+ ns"), " N insns N ns"),
                     (re.compile(r"\b\d\d+ (events\)|programs,|tracepoints$)", re.M), r"N \1"),
                     (re.compile(r"^  about [\d.]+ ns an event, \d+ bytes of stack(?:; .*)?$", re.M),
                      "  about N ns an event, N bytes of stack")]}
DIRECTIVES = {"command", "options", "args", "exit", "needs", "stdin"}
MARK = "#---"
NO_NEWLINE = "#\\ no newline at the end"
TIMEOUT_S = 120


class CaseError(Exception):
    """The case file itself is wrong."""


@dataclass
class Case:
    path: Path
    script: str
    directives: dict
    stdout: str = ""
    stderr: str = ""
    has_expectation: bool = False


def read_directives(script):
    """The lines `#name: value` at the very top."""
    directives = {}
    for number, line in enumerate(script.split("\n"), 1):
        name, colon, value = line[1:].partition(":") if line.startswith("#") else ("", "", "")
        if not colon or name not in DIRECTIVES:
            break
        if name in directives:
            raise CaseError(f"line {number}: '#{name}:' is there twice")
        directives[name] = value.strip()
    return directives


def parse_expectation(lines, first_number):
    """Returns (stdout, stderr) of the lines behind the mark."""
    streams = {">": "", "!": ""}
    last = ">"
    for number, line in enumerate(lines, first_number):
        if line == "":
            continue
        if line == NO_NEWLINE:
            streams[last] = streams[last].removesuffix("\n")
        elif line[:2] in ("#>", "#!") and (len(line) == 2 or line[2] == " "):
            last = line[1]
            streams[last] += line[3:] + "\n"
        else:
            raise CaseError(f"line {number}: not an expectation: {line}")
    return streams[">"], streams["!"]


def read_case(path):
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    if MARK not in lines:
        return Case(path, text, read_directives(text))
    mark = lines.index(MARK)
    script = "".join(line + "\n" for line in lines[:mark])
    stdout, stderr = parse_expectation(lines[mark + 1:], mark + 2)
    return Case(path, script, read_directives(script), stdout, stderr, True)


def command_of(case, kind, ktap):
    switch, _ = KINDS[kind]
    directives = case.directives
    switch = shlex.split(directives["command"]) if "command" in directives else switch
    name = "-" if directives.get("stdin") == "script" else case.path.name
    return ([str(ktap)] + switch + shlex.split(directives.get("options", "")) + [name] +
            shlex.split(directives.get("args", "")))


def compile_case(name, directory, ktap, strip):
    """Puts the compiled script in the place of its source. What ktapc said; its status when that was not 0."""
    command = [str(ktap.parent / "ktapc"), *(["-s"] if strip else []), "-o", "compiled", name]
    result = subprocess.run(command, cwd=directory, capture_output=True, timeout=TIMEOUT_S, check=False)
    if result.returncode == 0:
        os.replace(Path(directory) / "compiled", Path(directory) / name)
    return result.stdout, result.stderr, result.returncode


def run_case(case, kind, ktap, through=None):
    """Returns (stdout, stderr, exit status); a signal is a negative status. `through`: "ktapc", "ktapc -s" or None."""
    with tempfile.TemporaryDirectory(prefix="ktap-golden-") as directory:
        script = Path(directory) / case.path.name
        script.write_bytes(case.script.encode("utf-8", "surrogateescape"))
        said = b""
        if through:
            stdout, said, status = compile_case(case.path.name, directory, ktap, through == "ktapc -s")
            if status:
                return stdout.decode("utf-8", "surrogateescape"), said.decode("utf-8", "surrogateescape"), status
        stdin = script.read_bytes() if case.directives.get("stdin") == "script" else b""
        try:
            result = subprocess.run(command_of(case, kind, ktap), cwd=directory, input=stdin, capture_output=True,
                                    timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return "", f"golden.py: no end within {TIMEOUT_S} seconds\n", -9
    stdout = result.stdout.decode("utf-8", "surrogateescape")
    for pattern, text in MASKS.get(kind, []):
        stdout = pattern.sub(text, stdout)
    return stdout, (said + result.stderr).decode("utf-8", "surrogateescape"), result.returncode


def wanted_status(case, kind):
    text = case.directives.get("exit", str(KINDS[kind][1]))
    if not text.isdigit():
        raise CaseError(f"'#exit: {text}' is not a number")
    return int(text)


def differences(case, kind, actual, judges_stderr=True):
    """What is wrong, as text; empty when all is as expected."""
    stdout, stderr, status = actual
    text = ""
    if status != wanted_status(case, kind):
        text += f"exit status {status}, expected {wanted_status(case, kind)}\n"
    for name, expected, got in (("stdout", case.stdout, stdout), ("stderr", case.stderr, stderr)):
        if expected == got or (name == "stderr" and not judges_stderr):
            continue
        text += "\n".join(difflib.unified_diff(expected.split("\n"), got.split("\n"), f"{name} expected",
                                               f"{name} actual", lineterm="")) + "\n"
    return text


def update_case(case, kind, actual):
    """Writes what was printed into the case. An exit status is never rewritten: it is somebody's decision."""
    stdout, stderr, status = actual
    lines = [MARK]
    for sign, stream in (("#>", stdout), ("#!", stderr)):
        if not stream:
            continue
        lines += [f"{sign} {line}" if line else sign for line in stream.removesuffix("\n").split("\n")]
        if not stream.endswith("\n"):
            lines.append(NO_NEWLINE)
    script = case.script if case.script.endswith("\n") else case.script + "\n"
    text = script + "\n".join(lines) + "\n"
    case.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    if status != wanted_status(case, kind):
        return f"written, but exit status {status} is not the expected {wanted_status(case, kind)}\n"
    return ""


def missing_need(case):
    """What the case needs and this machine or user does not give, or None."""
    need = case.directives.get("needs")
    if need is None:
        return None
    if need != "root":
        raise CaseError(f"'#needs: {need}' is unknown (there is: root)")
    return None if os.geteuid() == 0 else "needs root"


def judge(path, kind, ktap, update, through, report):
    name = f"{kind}/{path.name}"
    try:
        case = read_case(path)
        wanted_status(case, kind)
        need = missing_need(case)
        if need:
            report.skip(name, need)
            return
        if not update and not case.has_expectation:
            raise CaseError(f"no line '{MARK}': nothing is expected, so nothing can fail")
        actual = run_case(case, kind, ktap, through)
        problem = (update_case(case, kind, actual) if update else
                   differences(case, kind, actual, through != "ktapc -s"))
    except CaseError as error:
        problem = str(error)
    if problem:
        report.fail(name, problem)
    else:
        report.ok(name)


def run_folders(options):
    report = Report(options.name)
    if not options.ktap.is_file():
        report.fail("(all)", f"there is no program {options.ktap}")
        return report.finish()
    through = None
    if options.through_ktapc:
        through = "ktapc -s" if options.strip else "ktapc"
        if not (options.ktap.resolve().parent / "ktapc").is_file():
            report.fail("(all)", f"there is no program ktapc beside {options.ktap}")
            return report.finish()
    for folder in options.folders:
        kind = folder.resolve().name
        if kind not in KINDS:
            report.fail(str(folder), f"no such kind of golden case (there are {', '.join(KINDS)})")
            continue
        for path in sorted(folder.glob("*.kp")):
            if options.only in path.name:
                judge(path, kind, options.ktap.resolve(), options.update, through, report)
    if not report.passed and not report.failed and not report.skipped:
        report.fail("(none)", "no case found")
    return report.finish()


# A stand-in for ktap: says how it was called, complains about 'bad', ends without a newline on 'cut'.
FAKE_KTAP = r'''#!/usr/bin/env python3
import sys
text = open(next(word for word in sys.argv if word.endswith(".kp"))).read()
print(" ".join(sys.argv[1:]), flush=True)
if "bad" in text:
    print("x.kp:1:1: error: bad", file=sys.stderr)
    sys.exit(2)
if "plan" in text:
    print("7 instructions")
if "cut" in text:
    sys.stdout.write("\ncut")
'''
FAKE_KTAPC = """out=$2; script=$3; [ "$1" = -s ] && exec sh -c 'echo bad > "$3"' "$@"
{ echo cut; cat "$script"; } > "$out"
"""
SELF_TEST_CASES = [
    ("tokens", "x = 1\n#---\n#> --dump=tokens c.kp\n", True),
    ("run", "#args: 1 'a b'\nx = 1\n#---\n#> c.kp 1 a b\n", True),
    ("run", "#options: -q\nx = 1\n#---\n#> -q c.kp\n", True),
    ("run", "#command: --check\nx = 1\n#---\n#> --check c.kp\n", True),
    ("run", "cut\n#---\n#> c.kp\n#>\n#> cut\n#\\ no newline at the end\n", True),
    ("run", "cut\n#---\n#> c.kp\n#>\n#> cut\n", False),
    ("run", "x = 1\n#---\n#> other\n", False),
    ("run", "x = 1\n#---\n#> c.kp\n#! warning\n", False),
    ("run", "#exit: 3\nx = 1\n#---\n#> c.kp\n", False),
    ("run", "#exit: many\nx = 1\n#---\n#> c.kp\n", False),
    ("run", "#needs: luck\nx = 1\n#---\n#> c.kp\n", False),
    ("run", "x = 1\n", False),
    ("run", "x = 1\n#---\nstray\n", False),
    ("diag", "bad\n#---\n#> --check c.kp\n#! x.kp:1:1: error: bad\n", True),
    ("diag", "x = 1\n#---\n#> --check c.kp\n", False),
    ("explain", "x = 1\n#---\n#> --explain c.kp\n", True),
    ("explain", "plan\n#---\n#> --explain c.kp\n#> N instructions\n", True),
    ("nonsense", "x = 1\n#---\n", False),
]


def self_test():
    """Every way to pass and to fail, against the stand-in; then --update, and its refusal in CI."""
    failures = []

    def run(*arguments, **environment):
        clean = {key: value for key, value in os.environ.items() if key not in ("CI", "KTAP_REPORT_DIR")}
        return subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True,
                              env=dict(clean, **environment), check=False)

    with tempfile.TemporaryDirectory() as directory:
        fake = Path(directory) / "ktap"
        fake.write_text(FAKE_KTAP)
        fake.chmod(0o755)
        for index, (kind, text, passes) in enumerate(SELF_TEST_CASES):
            folder = Path(directory) / str(index) / kind
            folder.mkdir(parents=True)
            (folder / "c.kp").write_text(text)
            result = run("--ktap", fake, folder)
            if (result.returncode == 0) != passes:
                failures.append(f"case {index} ({kind}): status {result.returncode}\n{result.stdout}{result.stderr}")
        folder = Path(directory) / "update" / "run"
        folder.mkdir(parents=True)
        (folder / "c.kp").write_text("cut\n#---\n#> old\n")
        refused = run("--ktap", fake, "--update", folder, CI="1").returncode != 0
        if not refused or "old" not in (folder / "c.kp").read_text():
            failures.append("--update was not refused in CI")
        if run("--ktap", fake, "--update", folder).returncode != 0 or run("--ktap", fake, folder).returncode != 0:
            failures.append("a case does not pass after --update")
        # The stand-in compiler puts a line in front of the script; with -s it changes it.
        for compiler, flags, passes in ((FAKE_KTAPC, [], True), (FAKE_KTAPC, ["--strip"], False),
                                        ("exit 2", [], False)):
            (Path(directory) / "ktapc").write_text("#!/bin/sh\n" + compiler)
            (Path(directory) / "ktapc").chmod(0o755)
            folder = Path(directory) / "compiled" / "run"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "c.kp").write_text("#---\n#> c.kp\n#>\n#> cut\n#\\ no newline at the end\n")
            if (run("--ktap", fake, "--through-ktapc", *flags, folder).returncode == 0) != passes:
                failures.append(f"--through-ktapc {flags} with {compiler}")
        empty = Path(directory) / "empty" / "run"
        empty.mkdir(parents=True)
        if run("--ktap", fake, empty).returncode == 0:
            failures.append("an empty folder passes")
    print("\n".join(failures) or "golden self-test: all as it should be")
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ktap", type=Path, required=True)
    parser.add_argument("--name", default="golden")
    parser.add_argument("--only", default="", help="cases whose file name holds this")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--through-ktapc", action="store_true")
    parser.add_argument("--strip", action="store_true")
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    if (options.update and options.through_ktapc) or (options.strip and not options.through_ktapc):
        parser.error("--through-ktapc judges, it does not update; --strip goes with it")
    if options.update and os.environ.get("CI"):
        print("golden.py: --update is for people, not for CI", file=sys.stderr)
        return 2
    return run_folders(options)


if __name__ == "__main__":
    sys.exit(main())
