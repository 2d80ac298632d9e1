#!/usr/bin/env python3
"""Every C and C++ file is as clang-format 14 leaves it (.clang-format). Skipped where that version is not there.

Usage: check_format.py [--fix]
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "14"


def find_clang_format():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if re.search(rf"version {VERSION}\.", text):
                return path
    return None


def main():
    root = Path(__file__).resolve().parent.parent
    program = find_clang_format()
    if not program:
        print(f"skipped: clang-format {VERSION} is not installed")
        return 77
    files = [str(path) for folder in ("src", "tests", "fuzz", "bench") for path in sorted((root / folder).rglob("*"))
             if path.suffix in (".h", ".cc", ".c")]
    mode = ["-i"] if sys.argv[1:] == ["--fix"] else ["--dry-run", "-Werror"]
    result = subprocess.run([program, *mode, *files], stderr=subprocess.PIPE, text=True, check=False)
    bad = sorted({line.split(":")[0] for line in result.stderr.split("\n") if "clang-format-violations" in line})
    for path in bad:
        print(f"{Path(path).relative_to(root)}: not formatted (tools/check_format.py --fix)")
    if result.returncode and not bad:
        print(result.stderr)
    print(f"format: {len(bad)} of {len(files)} files to mend")
    return 1 if result.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
