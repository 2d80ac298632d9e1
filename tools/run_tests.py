#!/usr/bin/env python3
"""Runs the ctest tests of build directories and ends with one line: `N passed, 0 failed[, K skipped]`.

Counts cases, not programs: the cases of GoogleTest programs (from their own JSON reports), of the runners in tools/
(report.py), of programs whose last line is `N passed, M failed`; any other ctest test is one case. A program that
dies is one more failure. What failed beside others is run once more, alone: if it passes then, it counts as passed and
is named as unsteady, with what it said, so that somebody looks for the reason.
Usage: run_tests.py BUILD_DIR…; run_tests.py --self-test. Exit status: 0 when nothing failed.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FAILURE_LINES = 40  # of what a failure says, in the list at the end
MOST_RUN_AGAIN = 5  # ctest tests; where more fail it is no accident


def google_report(path):
    """(passed, failures, skips) of a GoogleTest JSON report; the latter two as [[case, text]]."""
    passed, failures, skipped = 0, [], []
    for suite in json.loads(path.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            name = f"{suite['name']}.{case['name']}"
            if case.get("failures"):
                failures.append([name, "\n".join(item.get("failure", "") for item in case["failures"])])
            elif case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                reason = " ".join(item.get("message", "") for item in case.get("skipped", []))
                skipped.append([name, reason.split("\n")[-1] or "switched off"])
            else:
                passed += 1
    return passed, failures, skipped


def own_report(path):
    data = json.loads(path.read_text())
    return data["passed"], data["failures"], data["skipped"]


def skip_reason(output):
    for line in output.split("\n"):
        if line.startswith("skipped: "):
            return line[len("skipped: "):]
    return "no reason given"


def count_test(case, reports):
    """(passed, failures, skips) of one <testcase> of ctest's JUnit file."""
    name, status = case.get("name"), case.get("status")
    output = case.findtext("system-out") or ""
    last_lines = [[name, "\n".join(output.rstrip("\n").split("\n")[-FAILURE_LINES:])]]
    if status == "disabled":
        return 0, [], [[name, "disabled"]]
    own, google = reports / f"{name}.json", reports / f"{name.removeprefix('unit_')}_test.json"
    if own.is_file():
        passed, failures, skipped = own_report(own)
    elif name.startswith("unit_") and google.is_file():
        passed, failures, skipped = google_report(google)
    elif status == "notrun" and case.find("skipped") is not None and "SKIP_RETURN_CODE" in case.find("skipped").get(
            "message", ""):
        return 0, [], [[name, skip_reason(output)]]
    elif last := re.search(r"^(\d+) passed, (\d+) failed\s*\Z", output, re.M):
        passed, failures, skipped = int(last.group(1)), last_lines * int(last.group(2)), []
    else:
        return (1, [], []) if status == "run" else (0, last_lines, [])
    if status == "fail" and not failures:
        failures = last_lines
    return passed, failures, skipped


def run_ctest(build, *options):
    """One run of ctest: its status, and by test (passed, failures, skips)."""
    with tempfile.TemporaryDirectory(prefix="ktap-tests-") as directory:
        reports, junit = Path(directory) / "reports", Path(directory) / "junit.xml"
        reports.mkdir()
        environment = dict(os.environ, KTAP_REPORT_DIR=str(reports), GTEST_OUTPUT=f"json:{reports}/")
        result = subprocess.run(
            ["ctest", "--test-dir", str(build), "--output-on-failure", "--no-tests=error", *options,
             "--test-output-size-passed", "100000", "--test-output-size-failed", "1000000",
             "--output-junit", str(junit)], env=environment, check=False)
        tests = ElementTree.parse(junit).getroot().findall("testcase") if junit.is_file() else []
        return result.returncode, {case.get("name"): count_test(case, reports) for case in tests}


def run_directory(build):
    """Runs one build directory; returns (passed, failures, skips, unsteady ones); the latter as failures are."""
    status, counts = run_ctest(build, "-j", str(os.cpu_count()))
    unsteady = []
    failed = [name for name, count in counts.items() if count[1]]
    if failed and len(failed) <= MOST_RUN_AGAIN:
        print(f"once more, alone: {', '.join(failed)}", flush=True)
        status, again = run_ctest(build, "--rerun-failed")
        for name, count in again.items():
            if not count[1]:
                unsteady += counts[name][1]
            counts[name] = count
    passed = sum(count[0] for count in counts.values())
    failures = [failure for count in counts.values() for failure in count[1]]
    skipped = [skip for count in counts.values() for skip in count[2]]
    if status != 0 and not failures:
        failures = [["ctest", f"ended with status {status}"]]
    return passed, failures, skipped, unsteady


def main(builds):
    passed, failures, skipped, unsteady = 0, [], [], []
    for build in builds:
        print(f"== {build}", flush=True)
        more_passed, more_failures, more_skipped, more_unsteady = run_directory(build)
        print(f"{build}: {more_passed} passed, {len(more_failures)} failed, {len(more_skipped)} skipped", flush=True)
        passed += more_passed
        failures += [(build, name, text) for name, text in more_failures]
        skipped += [(build, name, reason) for name, reason in more_skipped]
        unsteady += [(build, name, text) for name, text in more_unsteady]
    for build, name, reason in skipped:
        print(f"skipped: {name} ({build}): {reason}")
    # Once more at the end, where whoever looks at a long output looks first.
    for heading, entries in (("unsteady, passed alone", unsteady), ("FAILED", failures)):
        for build, name, text in entries:
            print(f"{heading}: {name} ({build})")
            for line in text.split("\n")[:FAILURE_LINES]:
                print(f"    {line}")
    counts = [(len(skipped), "skipped"), (len(unsteady), "unsteady")]
    print(f"{passed} passed, {len(failures)} failed" + "".join(f", {n} {word}" for n, word in counts if n), flush=True)
    return 1 if failures or not passed else 0


SELF_TEST_REPORT = """import json, os, sys
open(os.environ["KTAP_REPORT_DIR"] + "/many.json", "w").write(
    json.dumps({"passed": 3, "failures": [["one", "not so"]], "skipped": [["a", "no root"]]}))
sys.exit(1)
"""
SELF_TEST_CRASH = """import json, os
open(os.environ["KTAP_REPORT_DIR"] + "/crash.json", "w").write(json.dumps({"passed": 2, "failures": [], "skipped": []}))
os.abort()
"""
SELF_TEST_UNSTEADY = """import os, sys
if not os.path.exists(__file__ + ".seen"):
    open(__file__ + ".seen", "w")
    sys.exit("busy today")
"""


def self_test():
    """A made-up build directory with a test of every kind of end."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "many.py").write_text(SELF_TEST_REPORT)
        (root / "crash.py").write_text(SELF_TEST_CRASH)
        (root / "unsteady.py").write_text(SELF_TEST_UNSTEADY)
        lines = [f'add_test(many "{sys.executable}" "{root}/many.py")',
                 f'add_test(crash "{sys.executable}" "{root}/crash.py")',
                 f'add_test(unsteady "{sys.executable}" "{root}/unsteady.py")',
                 'add_test(good "/bin/true")', 'add_test(bad "/bin/false")', 'add_test(lost "/nowhere/at/all")',
                 'add_test(told "/bin/echo" "5 passed, 0 failed")',
                 'add_test(skip "/bin/sh" "-c" "echo skipped: no moon; exit 77")',
                 'set_tests_properties(skip PROPERTIES SKIP_RETURN_CODE 77)']
        (root / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")
        output = subprocess.run([sys.executable, __file__, str(root)], capture_output=True, text=True, check=False)
        last = output.stdout.rstrip("\n").split("\n")[-1]
        wanted = "12 passed, 4 failed, 2 skipped, 1 unsteady"
        named = (f"skipped: skip ({root}): no moon" in output.stdout and
                 f"FAILED: one ({root})\n    not so\n" in output.stdout and
                 f"unsteady, passed alone: unsteady ({root})\n    busy today\n" in output.stdout)
        if last != wanted or output.returncode != 1 or not named:
            print(output.stdout, output.stderr)
            print(f"wanted '{wanted}' and status 1, got '{last}' and status {output.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main(sys.argv[1:]))
