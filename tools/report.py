"""The small report that a test runner leaves for tools/run_tests.py: how many cases passed, which failed, were skipped.

Written to $KTAP_REPORT_DIR/NAME.json when that is set. Nothing here judges; run_tests.py adds the numbers up.
"""
import json
import os
from pathlib import Path

SKIPPED = 77


class Report:
    """Collects results, prints one line a case, ends with the exit status."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0
        self.failures = []
        self.skipped = []

    def ok(self, case):
        self.passed += 1
        print(f"pass {case}", flush=True)

    def fail(self, case, text):
        self.failed += 1
        self.failures.append([case, text.rstrip("\n")])
        print(f"FAIL {case}", flush=True)
        for line in text.rstrip("\n").split("\n"):
            print(f"    {line}")

    def skip(self, case, reason):
        self.skipped.append([case, reason])
        print(f"skip {case}: {reason}", flush=True)

    def run(self, case, *arguments):
        """Calls a case: True is well, False a failure, a text the reason why it cannot be seen here."""
        result = case(*arguments)
        if isinstance(result, str):
            self.skip(case.__name__, result)
        elif result:
            self.ok(case.__name__)
        else:
            self.fail(case.__name__, "not as the case's code says")

    def finish(self):
        """Returns the exit status: 1 with failures, 77 when all was skipped, else 0."""
        print(f"{self.name}: {self.passed} passed, {self.failed} failed, {len(self.skipped)} skipped", flush=True)
        directory = os.environ.get("KTAP_REPORT_DIR")
        if directory and self.name:
            text = json.dumps({"passed": self.passed, "skipped": self.skipped, "failures": self.failures})
            (Path(directory) / f"{self.name}.json").write_text(text)
        if self.failed:
            return 1
        return SKIPPED if self.skipped and not self.passed else 0
