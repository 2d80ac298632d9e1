#!/usr/bin/env python3
"""Diagnostics as a program: --explain-code, its examples, docs/diagnostics.md, --diagnostics=json.
usage: diagnostics.py KTAP [--update]. --update rewrites the generated part of docs/diagnostics.md.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
PAGE = ROOT / "docs/diagnostics.md"
MARK = "<!-- below: ktap --explain-code=all -->\n"

# Whose examples cannot be run, each with its reason.
EXAMPLES_NOT_RUN = {
    "K0413": "needs --unsafe",
    "K0407": "depends on the C library and the processor",
    "K0408": "the examples are of ktap's own program, where it may not stand",
    "K0409": "what lies at an address depends on how the program was built",
    "K0102": "a NUL byte cannot stand in a page of text",
    "K0405": "needs a machine that refuses to trace",
    "K0601": "the limit's size is only described", "K0602": "the limit's size is only described",
    "K0611": "the limit's size is only described", "K0612": "the limit's size is only described",
    "K0613": "the limit's size is only described", "K0614": "the limit's size is only described",
    "K0615": "the limit's size is only described",
}


def run(ktap, *args, script=None):
    return subprocess.run([ktap, *args], input=script, stdin=subprocess.DEVNULL if script is None else None,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S)


def text(ktap, *args):
    done = run(ktap, *args)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def objects(done):
    """Standard error as JSON objects; raises when a line is none or is not UTF-8."""
    return [json.loads(line) for line in done.stderr.decode("utf-8", errors="strict").splitlines()]


def explains_a_code_in_every_spelling(ktap):
    spellings = [text(ktap, "--explain-code", name) for name in ("K0203", "k0203", "203", "0203")]
    return spellings[0][0] == 0 and spellings[0][1].startswith("K0203 (error): ") and \
        all(spelling == spellings[0] for spelling in spellings)


def names_the_nearest_code(ktap):
    status, output, errors = text(ktap, "--explain-code=K0299")
    far = text(ktap, "--explain-code=K9999")[2]
    return (status == 2 and output == "" and "the nearest is K0301" in errors and "nearest" not in far and
            "--explain-code=all lists them" in far)


def tells_the_range_of_codes(ktap):
    return all("K0101 to K08" in text(ktap, "--explain-code", name)[2] and text(ktap, "--explain-code", name)[0] == 2
               for name in ("x", "", "K", "K02x3", "-3", "99999999999999999999"))


def page_is_fresh(ktap):
    head, mark, generated = PAGE.read_text().partition(MARK)
    return bool(mark) and generated == text(ktap, "--explain-code=all")[1]


def examples(ktap):
    """(code, wrong script, right script) of every explanation."""
    page = text(ktap, "--explain-code=all")[1]
    for section in re.split(r"^### ", page, flags=re.M)[1:]:
        section = re.sub(r"^## .*", "", section, flags=re.M | re.S)
        wrong, right = re.search(r"\nWrong:\n\n(.*)\nRight:\n\n(.*)", section, re.S).groups()
        yield section[:5], *(re.sub(r"^ {4}", "", part.strip("\n"), flags=re.M) for part in (wrong, right))


def examples_are_what_they_say(ktap):
    """The wrong script of each explanation shows that code, and only that; the right one shows nothing."""
    seen, root = 0, os.geteuid() == 0
    for code, wrong, right in examples(ktap):
        if code in EXAMPLES_NOT_RUN or (code[:3] == "K04" and not root):
            continue
        seen += 1
        how = {"K08": ["-q"], "K04": ["--explain"]}.get(code[:3], ["--check"])
        shown = [o["code"] for o in objects(run(ktap, "--diagnostics=json", *how, "-e", wrong)) if "code" in o]
        if not shown or set(shown) != {code}:
            print(f"{code}: the wrong example gives {shown}")
            return False
        if objects(run(ktap, "--diagnostics=json", *how, "-e", right)):
            print(f"{code}: the right example is refused")
            return False
    return seen > 40


def json_of_compile_errors(ktap):
    source = "var count = 1\nprint(cuont, \"x)\n"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.kp")
        Path(path).write_text("var count = 1\nprint(cuont)\nvar t = {\n")
        first = objects(run(ktap, "--diagnostics=json", "--check", path))
    second = objects(run(ktap, "--diagnostics=json", "--check", "-e", source))
    names = objects(run(ktap, "--diagnostics=json", "--check", "-e", "var count = 1\nprint(cuont)"))
    expected = {"kind": "diagnostic", "code": "K0301", "severity": "error", "file": "-e", "line": 2, "column": 7,
                "end_line": 2, "end_column": 12, "begin": 20, "end": 25, "source": "print(cuont)", "notes": [],
                "hints": ["did you mean 'count'?"]}
    fix = names[0]["fixes"][0]
    return [o["code"] for o in first] == ["K0205"] and first[0]["file"] == path and \
        first[0]["notes"][0]["message"] == "to close this" and first[0]["notes"][0]["line"] == 3 and \
        [o["code"] for o in second] == ["K0103"] and \
        {key: names[0][key] for key in expected} == expected and \
        (fix["replacement"], fix["begin"], fix["end"]) == ("count", 20, 25)


def json_whatever_the_bytes(ktap):
    odd = [b"print(\x80\xff)", b"print('\xed\xa0\x80' .. x)", b"\xf0\x80\x80\x80 = 1", b"var a = \0 1",
           b"x = \"\x01\t\\\"", "var ä = '😀' y".encode(), b"print(\"\xf0\x9f\x98\" z)", b"\xc3",
           b"print(nothing) #\x7f\x1b[31m\xfe"]
    for script in odd:
        done = run(ktap, "--diagnostics=json", "--check", "-", script=script)
        made = objects(done)
        if done.returncode != 2 or not made or not all(o["severity"] == "error" and o["file"] == "stdin" for o in made):
            print(script, done)
            return False
    return True


def json_fix_of_an_event(ktap):
    if os.geteuid() != 0:
        return "needs root"
    for wrong, right in (("sched:sched_swich", "sched:sched_switch"),
                         ("probe:libc.so.6:mallo%return size=$retval", "probe:libc.so.6:malloc%return size=$retval")):
        script = f"trace {wrong} {{ }}"
        (error,) = objects(run(ktap, "--diagnostics=json", "--explain", "-e", script))
        (fix,) = error["fixes"]
        mended = script[:fix["begin"]] + fix["replacement"] + script[fix["end"]:]
        if error["code"] != "K0401" or mended != f"trace {right} {{ }}" or error["hints"] != [f"the nearest: {right}"]:
            raise AssertionError(f"{wrong}: {error}")
    for wrong, right in (("args.prev_pd", "args.prev_pid"), ("e.prev_pd", "e.prev_pid"),
                         ("curtask.comn", "curtask.comm")):
        script = f"trace sched:sched_switch {{ print({wrong}) }}"
        (error,) = objects(run(ktap, "--diagnostics=json", "--explain", "-e", script))
        for fix in error["fixes"]:
            mended = script[:fix["begin"]] + fix["replacement"] + script[fix["end"]:]
            if mended != script.replace(wrong, right):
                raise AssertionError(f"{wrong}: {mended}")
    return True


def json_counts_what_it_drops(ktap):
    script = "\n".join(f"print(name{i})" for i in range(30))
    last = objects(run(ktap, "--diagnostics=json", "--check", "-e", script))[-1]
    return last["kind"] == "more-errors" and last["count"] == 10


def json_of_a_run_time_error(ktap):
    done = run(ktap, "--diagnostics=json", "-e", "function f(x) { return x + 1 }\nf(1)\nprint(f(nil))")
    (error,) = objects(done)
    return done.returncode == 1 and error["kind"] == "runtime-error" and error["code"] == "K0801" and \
        error["line"] == 1 and [(call["function"], call["line"]) for call in error["trace"]] == [("main", 3)]


def json_of_errors_in_handlers(ktap):
    script = "var n = 0\ntick-1ms {\n n += 1\n if (n == 5) { exit() }\n if (n < 4) { error(\"oh\") }\n}"
    done = run(ktap, "--diagnostics=json", "-e", script)
    made = objects(done)
    return done.returncode == 1 and [o["kind"] for o in made] == ["runtime-error", "error-count"] and \
        made[1]["count"] == 3 and made[1]["line"] == 5 and made[1]["file"] == "-e"


def json_of_losses(ktap):
    if os.geteuid() != 0:
        return "needs root"
    script = "var t = {}\ntrace syscalls:sys_enter_write { t[args.count, ns] = 1 }"
    command = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo; done"]
    done = run(ktap, "--diagnostics=json", "--table-size=2", "-e", script, "--", *command)
    losses = [o for o in objects(done) if o["kind"] == "loss"]
    return done.returncode == 0 and len(losses) == 1 and losses[0]["count"] == 7 and losses[0]["line"] == 2 and \
        losses[0]["severity"] == "warning" and sum(losses[0].get("by_cpu", [7])) == 7


def json_of_mistakes_on_the_command_line(ktap):
    mistakes = (["--nonsense"], ["/no/such.kp"], ["-C", "9999", "-e", "x = 1"])
    made = [objects(run(ktap, "--diagnostics=json", *args)) for args in mistakes]
    return all(len(o) == 1 and o[0]["kind"] == "error" and o[0]["message"] for o in made)


CASES = [explains_a_code_in_every_spelling, names_the_nearest_code, tells_the_range_of_codes, page_is_fresh,
         examples_are_what_they_say, json_of_compile_errors, json_whatever_the_bytes, json_fix_of_an_event,
         json_counts_what_it_drops,
         json_of_a_run_time_error, json_of_errors_in_handlers, json_of_losses, json_of_mistakes_on_the_command_line]


def main():
    ktap = os.path.abspath(sys.argv[1])
    if sys.argv[2:] == ["--update"]:
        head, mark, _ = PAGE.read_text().partition(MARK)
        PAGE.write_text(head + mark + text(ktap, "--explain-code=all")[1])
        return 0
    report = Report("diagnostics")
    for case in CASES:
        report.run(case, ktap)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
