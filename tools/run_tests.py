#!/usr/bin/env python3
"""Runs the ctest tests of build directories and ends with one line: `N passed, 0 failed[, K skipped]`.

Counts cases, not programs: the cases of GoogleTest programs (from their own JSON reports), of the runners in tools/
(report.py), of programs whose last line is `N passed, M failed`; any other ctest test is one case. A program that
dies is one more failure.
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


def google_report(path):
    """(passed, failed, [[case, reason]]) of a GoogleTest JSON report."""
    passed, failed, skipped = 0, 0, []
    for suite in json.loads(path.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            name = f"{suite['name']}.{case['name']}"
            if case.get("failures"):
                failed += 1
            elif case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                reason = " ".join(item.get("message", "") for item in case.get("skipped", []))
                skipped.append([name, reason.split("\n")[-1] or "switched off"])
            else:
                passed += 1
    return passed, failed, skipped


def own_report(path):
    data = json.loads(path.read_text())
    return data["passed"], data["failed"], data["skipped"]


def skip_reason(output):
    for line in output.split("\n"):
        if line.startswith("skipped: "):
            return line[len("skipped: "):]
    return "no reason given"


def count_test(case, reports):
    """(passed, failed, skipped) of one <testcase> of ctest's JUnit file."""
    name, status = case.get("name"), case.get("status")
    if status == "disabled":
        return 0, 0, [[name, "disabled"]]
    own, google = reports / f"{name}.json", reports / f"{name.removeprefix('unit_')}_test.json"
    if own.is_file():
        passed, failed, skipped = own_report(own)
    elif name.startswith("unit_") and google.is_file():
        passed, failed, skipped = google_report(google)
    elif status == "notrun" and case.find("skipped") is not None and "SKIP_RETURN_CODE" in case.find("skipped").get(
            "message", ""):
        return 0, 0, [[name, skip_reason(case.findtext("system-out") or "")]]
    elif last := re.search(r"^(\d+) passed, (\d+) failed\s*\Z", case.findtext("system-out") or "", re.M):
        passed, failed, skipped = int(last.group(1)), int(last.group(2)), []
    else:
        return (1, 0, []) if status == "run" else (0, 1, [])
    if status == "fail" and failed == 0:
        failed = 1
    return passed, failed, skipped


def run_directory(build):
    """Runs one build directory; returns (passed, failed, skipped)."""
    passed, failed, skipped = 0, 0, []
    with tempfile.TemporaryDirectory(prefix="ktap-tests-") as directory:
        reports, junit = Path(directory) / "reports", Path(directory) / "junit.xml"
        reports.mkdir()
        environment = dict(os.environ, KTAP_REPORT_DIR=str(reports), GTEST_OUTPUT=f"json:{reports}/")
        result = subprocess.run(
            ["ctest", "--test-dir", str(build), "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count()),
             "--test-output-size-passed", "100000", "--test-output-size-failed", "1000000",
             "--output-junit", str(junit)], env=environment, check=False)
        tests = ElementTree.parse(junit).getroot().findall("testcase") if junit.is_file() else []
        for case in tests:
            more_passed, more_failed, more_skipped = count_test(case, reports)
            passed, failed, skipped = passed + more_passed, failed + more_failed, skipped + more_skipped
        if result.returncode != 0 and failed == 0:
            failed = 1
    return passed, failed, skipped


def main(builds):
    passed, failed, skipped = 0, 0, []
    for build in builds:
        print(f"== {build}", flush=True)
        more_passed, more_failed, more_skipped = run_directory(build)
        print(f"{build}: {more_passed} passed, {more_failed} failed, {len(more_skipped)} skipped", flush=True)
        passed, failed = passed + more_passed, failed + more_failed
        skipped += [(build, name, reason) for name, reason in more_skipped]
    for build, name, reason in skipped:
        print(f"skipped: {name} ({build}): {reason}")
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""), flush=True)
    return 1 if failed or not passed else 0


SELF_TEST_REPORT = """import json, os, sys
open(os.environ["KTAP_REPORT_DIR"] + "/many.json", "w").write(
    json.dumps({"passed": 3, "failed": 1, "skipped": [["a", "no root"]]}))
sys.exit(1)
"""
SELF_TEST_CRASH = """import json, os
open(os.environ["KTAP_REPORT_DIR"] + "/crash.json", "w").write(json.dumps({"passed": 2, "failed": 0, "skipped": []}))
os.abort()
"""


def self_test():
    """A made-up build directory with a test of every kind of end."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "many.py").write_text(SELF_TEST_REPORT)
        (root / "crash.py").write_text(SELF_TEST_CRASH)
        lines = [f'add_test(many "{sys.executable}" "{root}/many.py")',
                 f'add_test(crash "{sys.executable}" "{root}/crash.py")',
                 'add_test(good "/bin/true")', 'add_test(bad "/bin/false")', 'add_test(lost "/nowhere/at/all")',
                 'add_test(told "/bin/echo" "5 passed, 0 failed")',
                 'add_test(skip "/bin/sh" "-c" "echo skipped: no moon; exit 77")',
                 'set_tests_properties(skip PROPERTIES SKIP_RETURN_CODE 77)']
        (root / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")
        output = subprocess.run([sys.executable, __file__, str(root)], capture_output=True, text=True, check=False)
        last = output.stdout.rstrip("\n").split("\n")[-1]
        wanted = "11 passed, 4 failed, 2 skipped"
        named = f"skipped: skip ({root}): no moon" in output.stdout
        if last != wanted or output.returncode != 1 or not named:
            print(output.stdout, output.stderr)
            print(f"wanted '{wanted}' and status 1, got '{last}' and status {output.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main(sys.argv[1:]))
