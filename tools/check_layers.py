#!/usr/bin/env python3
"""Holds every #include under src/ to the layer table, which is the ktap_library() lines of CMakeLists.txt.

A folder includes itself and the folders in its own row. A *_test.cc or test_*.h may include every folder above it,
and gtest and gmock; nothing else includes a test_*.h. A PURE folder includes no header of system calls, clocks or
threads. Our own headers stand in quotes.
The naive evaluator of the tests sees nothing of what it judges.
Usage: check_layers.py [ROOT]; check_layers.py --self-test.
"""
import re
import sys
import tempfile
from pathlib import Path

LIBRARY = re.compile(r"^ktap_library\((\w+)([^)]*)\)", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
CODE_SUFFIXES = {".h", ".cc", ".c", ".def"}

# What a pure folder may not see: system calls, clocks, threads, and the libraries that make system calls.
IMPURE = re.compile(
    r"^(unistd|fcntl|time|ctime|chrono|poll|sched|signal|csignal|dirent|spawn|thread|mutex|filesystem|fstream"
    r"|pthread|termios|syscall)(\.h)?$|^(sys|linux|asm|bpf|net|netinet|arpa)/|^(libelf|gelf|dlfcn|traceevent/.*)\.h$")

# Impure headers that a pure file may see after all, each with its reason.
ALLOWED = {
    ("src/vm/lib_time.cc", "ctime"): "std::tm and strftime, the calendar; the clock itself comes through Host",
}


NAIVE_SEES = {"naive", "syntax", "diag"}


def read_table(root):
    """Returns ({folder: allowed folders}, {pure folders}, folders in order)."""
    table, pure, order = {}, set(), []
    for name, rest in LIBRARY.findall((root / "CMakeLists.txt").read_text()):
        words = rest.split()
        if "PURE" in words:
            words.remove("PURE")
            pure.add(name)
        table[name] = set(order) if words == ["ALL"] else set(words)
        order.append(name)
    return table, pure, order


def check_table(table, order):
    problems = []
    for index, name in enumerate(order):
        for other in sorted(table[name] - set(order[:index])):
            problems.append(f"CMakeLists.txt: folder '{name}' includes '{other}', which is not above it")
    return problems


def check_file(path, root, table, pure, order):
    folder = path.relative_to(root / "src").parts[0]
    where = path.relative_to(root)
    is_test = path.name.endswith("_test.cc") or path.name.startswith("test_")
    above = set(order[:order.index(folder)])
    allowed = (above if is_test else table[folder]) | {folder}
    problems = []
    for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        if quote == '"':
            target = header.split("/")[0]
            if not (root / "src" / header).is_file():
                problems.append(f"{where}:{number}: no such file: src/{header}")
            elif header.split("/")[-1].startswith("test_") and not is_test:
                problems.append(f"{where}:{number}: {header} is for tests")
            elif target not in allowed:
                problems.append(f"{where}:{number}: '{folder}' may not include '{target}' ({header})")
            continue
        if (root / "src" / header).is_file():
            problems.append(f"{where}:{number}: our header in <>: {header}")
        if re.match(r"^(gtest|gmock)/", header) and not is_test:
            problems.append(f"{where}:{number}: {header} outside a test")
        if folder in pure and not is_test and IMPURE.match(header) and (where.as_posix(), header) not in ALLOWED:
            problems.append(f"{where}:{number}: '{folder}' is pure and may not include <{header}>")
    return problems


def check_naive(root):
    """tests/differential/naive shares only the syntax tree and the sources with the code that it judges."""
    for path in sorted((root / "tests/differential/naive").glob("*.*")):
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
            match = INCLUDE.match(line)
            if match and match.group(1) == '"' and match.group(2).split("/")[0] not in NAIVE_SEES:
                yield f"{path.relative_to(root)}:{number}: the naive evaluator may not include {match.group(2)}"


def check_tree(root):
    table, pure, order = read_table(root)
    problems = check_table(table, order)
    files = 0
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in CODE_SUFFIXES or not path.is_file():
            continue
        files += 1
        parts = path.relative_to(root / "src").parts
        if len(parts) != 2 or parts[0] not in table:
            problems.append(f"{path.relative_to(root)}: not directly in a folder that CMakeLists.txt names")
            continue
        problems += check_file(path, root, table, pure, order)
    problems += check_naive(root)
    if not table or not files:
        problems.append("no layer table or no code found: this check has checked nothing")
    return problems


def self_test():
    """A good tree passes; every kind of bad line is found."""
    cmake = "ktap_library(base PURE)\nktap_library(diag PURE base)\nktap_library(sys base)\nktap_library(cli ALL)\n"
    good = {
        "base/a.h": "#pragma once\n#include <vector>\n",
        "diag/d.cc": '#include "base/a.h"\n',
        "diag/d_test.cc": '#include <gtest/gtest.h>\n#include <fstream>\n#include "base/a.h"\n',
        "sys/s.h": "#include <sys/mman.h>\n#include <chrono>\n",
        "sys/s_test.cc": '#include "diag/x.h"\n',
        "diag/x.h": "",
        "diag/test_help.h": "#include <gtest/gtest.h>\n",
        "cli/main.cc": '#include "sys/s.h"\n#include "diag/x.h"\n',
    }
    bad = {
        "upwards": ("base/b.cc", '#include "diag/x.h"\n', "may not include 'diag'"),
        "not in its row": ("sys/b.cc", '#include "diag/x.h"\n', "may not include 'diag'"),
        "test downwards": ("diag/b_test.cc", '#include "sys/s.h"\n', "may not include 'sys'"),
        "system call": ("diag/b.cc", "#include <unistd.h>\n", "is pure"),
        "system folder": ("diag/b.cc", "#  include <sys/mman.h>\n", "is pure"),
        "clock": ("base/b.cc", "#include <chrono>\n", "is pure"),
        "gtest": ("sys/b.cc", "#include <gtest/gtest.h>\n", "outside a test"),
        "test header used": ("diag/b.cc", '#include "diag/test_help.h"\n', "is for tests"),
        "missing": ("sys/b.cc", '#include "base/none.h"\n', "no such file"),
        "brackets": ("sys/b.cc", "#include <base/a.h>\n", "our header in <>"),
        "naive": ("../tests/differential/naive/a.cc", '#include "syntax/a.h"\n#include "vm/v.h"\n',
                  "may not include vm"),
        "strange folder": ("util/b.cc", "\n", "not directly in a folder"),
    }
    failures = []
    for name, extra in [("good", None)] + list(bad.items()):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "CMakeLists.txt").write_text(cmake)
            files = dict(good)
            if extra:
                files[extra[0]] = extra[1]
            for path, text in files.items():
                (root / "src" / path).parent.mkdir(parents=True, exist_ok=True)
                (root / "src" / path).write_text(text)
            problems = check_tree(root)
            if not extra and problems:
                failures.append(f"good tree: {problems}")
            if extra and not (len(problems) == 1 and extra[2] in problems[0]):
                failures.append(f"{name}: wanted one problem with '{extra[2]}', got {problems}")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "src").mkdir()
        (root / "CMakeLists.txt").write_text("ktap_library(base diag)\nktap_library(diag)\n")
        if len(check_tree(root)) != 2:
            failures.append("bad table or empty tree not found")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        problems = self_test()
    else:
        problems = check_tree(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve())
    for problem in problems:
        print(problem)
    print(f"layers: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
