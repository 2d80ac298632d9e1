#!/usr/bin/env python3
"""The examples of the documents are run (tests/cli/docs.py KTAP LOAD [--self-test] [FILE…]). Root, else 77.

Every block ```ktap of README.md and docs/*.md is a whole script, and every ```console block commands (`$ …`, going on
behind `> `) with their output. A block ```output behind a script, or the text below a command, is what it prints: line
for line, where a line `...` stands for any number of lines, and `...` at a line's end for the rest of it. Scripts run
with `-- LOAD`; commands run in a folder of their own, and trace a child of theirs alone. A comment before a block says
what else is to be known, unseen by readers: <!-- test: WORD; WORD -->

  load: VERB N …    what the script is run on (else `getppid 3`)       options: …   args: …   more of the command line
  file: NAME        the script is kept as NAME for what follows        exit: N      another exit status than 0
  shape             numbers and bars of the output may differ, its words may not
  example           the output is that of one machine: here it only has to be some
  dry               the whole machine would be traced: `-d` loads and verifies it and attaches nothing
  needs: CHECK      where `ktap doctor` says no to CHECK: compiled with --check alone, and named as skipped
  not a test: WHY   commands that are no example of ktap (building, another machine)
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from report import SKIPPED, Report  # noqa: E402

WORDS = {"load", "options", "args", "file", "exit", "shape", "example", "dry", "needs", "not a test"}
TRACES_NOTHING = {"-d", "-b", "--check", "--explain", "--dump", "--explain-code", "-V", "--version", "-h", "--help",
                  "-le", "-lf", "-lm", "list", "doctor", "fmt"}


class Block:
    def __init__(self, kind, line, text, marks):
        self.kind, self.line, self.text, self.marks, self.output = kind, line, text, marks, None


def marks_of(text, place):
    """The words of a comment, as a dict."""
    marks = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        word, _, value = part.partition(":")
        if word.strip() not in WORDS:
            raise SystemExit(f"{place}: unknown mark '{word.strip()}'")
        marks[word.strip()] = value.strip()
    return marks


def blocks_of(path):
    """The blocks to run, in order; a file's other fences are left alone."""
    blocks, marks, lines = [], {}, path.read_text().split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        comment = re.fullmatch(r"\s*<!-- test: (.*) -->", line)
        fence = re.fullmatch(r"(\s*)```(\S*)", line)
        if comment:
            marks = marks_of(comment.group(1), f"{path.name}:{number}")
        elif fence:
            first = number
            while not lines[number].strip() == "```":
                number += 1
            text = "\n".join(lines[first:number]) + "\n"
            number += 1
            if fence.group(2) in ("ktap", "console"):
                blocks.append(Block(fence.group(2), first, text, marks))
            elif fence.group(2) == "output":
                if not blocks or blocks[-1].kind != "ktap" or blocks[-1].output is not None:
                    raise SystemExit(f"{path.name}:{first}: output of no script")
                blocks[-1].output = text
            elif marks:
                raise SystemExit(f"{path.name}:{first}: marks before a block that is not run")
            marks = {}
    return blocks


def shape(line):
    """A line without what differs from run to run: numbers, bars, the width of columns."""
    line = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]*[0-9][0-9a-f]*[KMGTPE]?\b", "N", line)
    return re.sub(r"\s+", " ", re.sub(r"\|@*", "| ", line)).strip()


def is_line(shown, found, loose):
    """Whether a line is the one shown, which may end in `...`."""
    trim = shape if loose else str.rstrip
    if shown.endswith("..."):
        return trim(found).startswith(trim(shown[:-3]))
    return trim(shown) == trim(found)


def differs(wanted, found, loose):
    """Why the output is not the one shown, or None."""
    wanted, found = wanted.rstrip("\n").split("\n"), found.rstrip("\n").split("\n")
    at, gap = 0, False
    for number, line in enumerate(wanted):
        if line.strip() == "...":
            gap = True
            continue
        if gap:
            while at < len(found) and not is_line(line, found[at], loose):
                at += 1
        if at >= len(found) or not is_line(line, found[at], loose):
            got = found[at] if at < len(found) and not gap else "(nothing of the kind)"
            return f"line {number + 1} of the output shown:\n  {line}\nis\n  {got}\nof:\n" + "\n".join(found[:40])
        at, gap = at + 1, False
    if at < len(found) and not gap:
        return "the output goes on with:\n" + "\n".join(found[at:at + 20])
    return None


class Runner:
    def __init__(self, ktap, load):
        self.ktap, self.load = os.path.realpath(ktap), os.path.realpath(load)
        self.doctor = None
        self.folder = Path(tempfile.mkdtemp(prefix="ktap-docs-"))
        programs = self.folder / "bin"
        programs.mkdir()
        for name, target in (("ktap", self.ktap), ("ktapc", self.ktap), ("load", self.load)):
            (programs / name).symlink_to(target)
        (self.folder / "scripts").symlink_to(ROOT / "scripts")
        self.environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", LC_ALL="C",
                                XDG_STATE_HOME=str(self.folder))

    def run(self, command):
        """The exit status, standard output, standard error."""
        shell = isinstance(command, str)
        process = subprocess.Popen(command, shell=shell, executable="/bin/bash" if shell else None, text=True,
                                   cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return None, "", "does not end within 60 seconds"
        return process.returncode, out, err

    def lacks(self, block):
        """Whether this machine cannot trace what the block needs."""
        if "needs" not in block.marks:
            return False
        if self.doctor is None:
            self.doctor = [json.loads(line) for line in self.run(["ktap", "doctor", "--json"])[1].splitlines()]
        asked = [check for check in self.doctor if block.marks["needs"] in check.get("check", "")]
        if not asked:
            raise SystemExit(f"ktap doctor has no check '{block.marks['needs']}'")
        return not any(check["works"] for check in asked)

    def script(self, block):
        """None when all is as the document says, else what is not."""
        marks = block.marks
        name = marks.get("file", "example.kp")
        (self.folder / name).write_text(block.text)
        status, out, err = self.run(["ktap", "--check", name])
        if status != int(marks.get("exit", 0) if marks.get("exit") == "2" else 0):
            return f"--check ends with {status}:\n{out}{err}"
        if self.lacks(block) or (marks.get("exit") == "2" and block.output is None):
            return None
        command = ["ktap", "-q", *shlex.split(marks.get("options", "")), *(["-d"] if "dry" in marks else []), name]
        command += shlex.split(marks.get("args", ""))
        if "dry" not in marks:
            command += ["--", "load", *(marks.get("load") or "getppid 3").split()]
        status, out, err = self.run(command)
        if status != int(marks.get("exit", 0)):
            return f"ends with {status}:\n{out}{err}"
        if "dry" in marks or block.output is None:
            return None
        return differs(block.output, out + err, "shape" in marks)

    def whole_machine(self, command):
        """Whether a command of ktap would trace more than a child of its own."""
        words = shlex.split(command, comments=True)
        if words[0] != "ktap" or "--" in words or TRACES_NOTHING & {word.split("=")[0] for word in words}:
            return False
        status, out, _ = self.run(command.replace("ktap ", "ktap -d ", 1))
        if status != 0:
            return False  # a mistake: nothing is traced
        events = re.search(r"(\d+) of events", out)
        return "no handlers:" not in out and (not events or int(events.group(1)) > 0)

    def commands(self, block):
        """The same of commands."""
        found = re.findall(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", block.text, re.M)
        if not found:
            return "no command: a line begins with '$ '"
        for command, wanted in found:
            command = command.replace("\n> ", "\n")
            if self.whole_machine(command):
                if "dry" not in block.marks:
                    return f"'{command}' traces the whole machine: mark it `dry`, or give it a command"
                command = command.replace("ktap ", "ktap -d ", 1)
            if self.lacks(block):
                command, wanted = command.replace("ktap ", "ktap --check ", 1), None
            status, out, err = self.run(command)
            if status != (0 if wanted is None else int(block.marks.get("exit", 0))):
                return f"'{command}' ends with {status}:\n{out}{err}"
            text = re.sub(r"^Tracing\.\.\. Hit Ctrl-C to end\.\n", "", out + err, flags=re.M)
            shown = re.sub(r"^Tracing\.\.\. Hit Ctrl-C to end\.\n", "", wanted or "", flags=re.M)
            if shown and "example" in block.marks and not text.strip():
                return f"'{command}' prints nothing"
            if shown and not {"dry", "example"} & set(block.marks):
                why = differs(shown, text, "shape" in block.marks)
                if why:
                    return f"'{command}':\n{why}"
        return None

    def judge(self, report, path):
        for block in blocks_of(path):
            case = f"{path.name}:{block.line}"
            if "not a test" in block.marks:
                continue
            lacking = self.lacks(block)
            why = self.script(block) if block.kind == "ktap" else self.commands(block)
            if why:
                report.fail(case, why)
            elif lacking:
                report.skip(case, f"compiled alone: no {block.marks['needs']} here")
            else:
                report.ok(case)


GOOD = """
<!-- test: load: getppid 7 -->
```ktap
var n = 0
trace syscalls:sys_enter_getppid { n += 1 }
trace_end { print("calls", n) }
```
```output
calls\t7
```
<!-- test: shape -->
```console
$ ktap -e 'trace syscalls:sys_enter_getppid { print(pid, execname) }' -- load getppid 1
123\tload
```
"""
SHAPE = """<!-- test: shape -->
```console
$ ktap -e 'trace syscalls:sys_enter_getppid { print(pid"""
BROKEN = {
    "a number that is not so": ("calls\t7", "calls\t8"),
    "a line too much": ("calls\t7", "calls\t7\nand more"),
    "a line too few": ("calls\t7", ""),
    "a mistake in the script": ("n += 1 }", "m += 1 }"),
    "no such event": ("enter_getppid { n", "enter_getpid_ { n"),
    "a run-time error": ('"calls", n', '"calls", n + nil'),
    "another word in a shape": ("123\tload", "123\tlord"),
    "no command": ("$ ktap", "ktap"),
    "a line that ends otherwise": ("calls\t7", "calls\t8..."),
    "nothing printed for an example": (SHAPE, SHAPE.replace("shape", "example").replace("print", "tostring")),
    "the whole machine": (" -- load getppid 1", ""),
    "a handler that does not print": ("print(pid, execname)", "n = pid"),
}


def self_test(report, runner):
    """The runner finds fault with each of BROKEN, and none with GOOD."""
    path = runner.folder / "page.md"
    for name, (old, new) in {"as it should be": ("", ""), **BROKEN}.items():
        assert old in GOOD
        path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
        found = [runner.script(b) if b.kind == "ktap" else runner.commands(b) for b in blocks_of(path)]
        if any(found) == (name in BROKEN):
            report.ok(f"self-test: {name}")
        else:
            report.fail(f"self-test: {name}", "\n".join(str(why) for why in found))


def main(arguments):
    only_self_test = "--self-test" in arguments
    ktap, load, *files = [word for word in arguments if word != "--self-test"]
    report = Report("docs_selftest" if only_self_test else "docs")
    if os.geteuid() != 0:
        print("skipped: the examples trace: root")
        return SKIPPED
    runner = Runner(ktap, load)
    if not files or only_self_test:
        self_test(report, runner)
    if not only_self_test:
        for path in [Path(name) for name in files] or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            runner.judge(report, path)
    subprocess.run(["rm", "-rf", str(runner.folder)], check=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
