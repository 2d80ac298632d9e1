#!/usr/bin/env python3
"""The corpus of handlers that belong into the kernel: scripts/ with its folders, and tests/golden/explain/kernel_*.kp.

Each handler there must be placed in the kernel, except those that corpus_wanted.txt lists, with the reason that ktap
gives; a handler of the list that is placed there by now fails too, until it is taken off. And the verifier refuses no
program of any script of the tests: a refusal would send its handler to user space without a word.

Usage: corpus.py KTAP [--update]; --update writes the list anew. Needs root; else skipped.
"""
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import golden  # noqa: E402  (from tools/, found by the line above)
import kernel_case  # noqa: E402
from report import Report  # noqa: E402

WANTED = Path(__file__).resolve().parent / "corpus_wanted.txt"
LEAST = 80  # handlers in the kernel
HANDLER = re.compile(r"^(?:.*/)?([^/:]+\.kp:\d+):\d+: in (the kernel|user space), ")
LACK = re.compile(r"error: (this kernel cannot trace its functions|no event matches .*|.*: no such program or library|"
                  r".* has no markers)")
REFUSED = "the kernel's verifier refuses"


def dry_run(ktap, words, directory):
    done = subprocess.run([ktap, "-d", "-v", *words], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, check=False)
    return done.stdout, done.stderr, done.returncode


def placements(text):
    """(FILE.kp:LINE, whether in the kernel, why not) of each handler, as `ktap -d` tells them."""
    found = []
    for line in text.split("\n"):
        if match := HANDLER.match(line):
            found.append([match.group(1), match.group(2) == "the kernel", ""])
        elif found and line.startswith("  because "):
            found[-1][2] = re.sub(r" \((?:[^()]*/)?([^/()]+)\)$", "", line[len("  because "):])
    return found


def read_wanted():
    lines = WANTED.read_text().splitlines() if WANTED.is_file() else []
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if line and not line.startswith("#")}


def corpus_files():
    return [*sorted((ROOT / "scripts").glob("**/*.kp")),
            *sorted((ROOT / "tests/golden/explain").glob("kernel_*.kp"))]


def judge_corpus(ktap, report, update):
    wanted, outside, in_kernel = read_wanted(), {}, 0
    for path in corpus_files():
        stdout, stderr, status = dry_run(ktap, ["--unsafe", str(path)], ROOT)
        if status == 2 and (lack := LACK.search(stderr)):
            report.skip(path.name, lack.group(1))
            continue
        if status != 0:
            report.fail(path.name, stderr)
            continue
        for place, is_inside, reason in placements(stdout):
            in_kernel += is_inside
            if not is_inside:
                outside[place] = reason
            if is_inside and place in wanted:
                report.fail(place, "it is in the kernel by now: take it off corpus_wanted.txt")
            elif not is_inside and place not in wanted:
                report.fail(place, f"it belongs into the kernel, and is in user space: {reason}")
            elif is_inside:
                report.ok(place)
    if update:
        head = "# Handlers of the corpus that are in user space, and why; to become empty. Written by corpus.py.\n"
        WANTED.write_text(head + "".join(f"{place} {reason}\n" for place, reason in sorted(outside.items())))
    for place in sorted(set(wanted) - set(outside)):
        print(f"    {place} is on the list and not in user space")
    if in_kernel < LEAST:
        report.fail("number of handlers", f"{in_kernel} are in the kernel, at least {LEAST} are wanted")
    else:
        report.ok(f"number of handlers: {in_kernel} in the kernel, {len(outside)} in user space")


def test_scripts(directory):
    """(name, words for ktap) of the scripts of all kernel cases and golden cases that trace."""
    for path in sorted((ROOT / "tests/kernel").glob("*.case")):
        case = kernel_case.parse_case(path.read_text())
        file = directory / f"{path.stem}.kp"
        file.write_text(case.script)
        yield path.name, [*shlex.split(case.head.get("options", "")), str(file),
                          *shlex.split(case.head.get("args", ""))]
    for path in sorted((ROOT / "tests/golden/explain").glob("*.kp")):
        case = golden.read_case(path)
        file = directory / path.name
        file.write_text(case.script)
        yield path.name, [*shlex.split(case.directives.get("options", "")), str(file),
                          *shlex.split(case.directives.get("args", ""))]


def judge_refusals(ktap, report):
    """Nothing is refused, except where a test asks for it."""
    with tempfile.TemporaryDirectory(prefix="ktap-corpus-") as name:
        for case, words in test_scripts(Path(name)):
            stdout, stderr, _ = dry_run(ktap, words, name)
            refused = [line.strip() for line in (stdout + stderr).split("\n") if REFUSED in line]
            asked = any(word.startswith("--spoil") for word in words)
            if bool(refused) != asked:
                report.fail(f"verifier: {case}", "\n".join(refused) or "nothing is refused, and --spoil asks for it")
            else:
                report.ok(f"verifier: {case}")


def main():
    report = Report("corpus")
    if reason := kernel_case.cannot_trace():
        print(f"skipped: {reason}")
        report.skip("corpus", reason)
        return report.finish()
    ktap = str(Path(sys.argv[1]).resolve())
    judge_corpus(ktap, report, "--update" in sys.argv)
    judge_refusals(ktap, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
