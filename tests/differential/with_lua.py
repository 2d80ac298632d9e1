#!/usr/bin/env python3
"""The common subset of ktap and Lua 5.4: random programs in both spellings print the same.

The judge writes the programs, of one generator, as a Lua file that runs them all, and what ktap's VM prints; this
runs Lua and compares program by program: all output, and whether an error ended it.
Usage: with_lua.py JUDGE [--programs N] [--seed S]; with_lua.py JUDGE --self-test.
"""
import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SHOWN = 3


def blocks(text):
    """{number of the program: what it printed and how it ended}"""
    parts = re.split(r"^=== (\d+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def compare(expected, got):
    """[(number, what ktap prints, what Lua prints)] of the programs that differ or are missing."""
    return [(number, text, got.get(number, "nothing at all\n")) for number, text in expected.items()
            if got.get(number) != text]


def programs(path):
    return dict(re.findall(r'^run\("(\d+)", \[==\[\n(.*?)\n\]==\]\)$', path.read_text(), flags=re.M | re.S))


def run(judge, lua, count, seed, spoil=False):
    """The numbers of programs and of differences."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "common"
        subprocess.run([judge, "--common", str(count), "--seed", str(seed), str(out)], check=True)
        source = out.with_suffix(".lua")
        if spoil:
            source.write_text(source.read_text().replace("return a - cdiv(a, b) * b", "return a % b"))
        done = subprocess.run([lua, str(source)], capture_output=True, timeout=600)
        got = blocks(done.stdout.decode("latin-1"))
        expected = blocks(out.with_suffix(".txt").read_text(encoding="latin-1"))
        different = compare(expected, got)
        if done.returncode != 0:
            print(done.stderr.decode("latin-1"))
        texts = programs(source)
        for number, ktap_text, lua_text in [] if spoil else different[:SHOWN]:
            print(f"program {number}, in Lua:\n{texts[number]}\n--- ktap prints\n{ktap_text}--- Lua prints\n{lua_text}")
        errors = sum(text.endswith("--- error\n") for text in expected.values())
        print(f"{len(expected)} programs, {errors} of them end with an error")
        return len(expected), len(different)


def self_test(judge, lua):
    failures = []
    if compare({"1": "a\n"}, {"1": "a\n"}) or len(compare({"1": "a\n", "2": ""}, {"1": "b\n"})) != 2:
        failures.append("compare() is wrong")
    if run(judge, lua, 300, 1, spoil=True)[1] == 0:
        failures.append("a remainder that rounds as Lua's is not found")
    for failure in failures:
        print(failure)
    print(f"{2 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("judge")
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    lua = shutil.which("lua5.4")
    if lua is None:
        print("skipped: differential with Lua: there is no lua5.4 (tools/setup test installs it)")
        return 77
    if options.self_test:
        return self_test(options.judge, lua)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    count, different = run(options.judge, lua, options.programs, seed)
    if count * 2 < options.programs:
        print("less than half of the programs were judged: the generator is at fault")
        different += 1
    print(f"{count - different} passed, {different} failed")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
