#!/usr/bin/env python3
"""Builds a fuzz target with clang and runs it for a while with a fixed seed: a test, not a campaign.

The first inputs are the repository's own scripts and golden cases; with --ktapc what that program makes of them. For a
campaign: `cmake --preset fuzz`, build, and run the target with a corpus folder of your own; or
--seconds, and --corpus for one that stays. Skipped where clang or its fuzzer library is not there.
Usage: fuzz_short.py TARGET --build DIR [--seconds N] [--ktapc KTAPC] [--corpus DIR]
"""
import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def why_not():
    """Why no fuzz target can be built here, or None."""
    if not shutil.which("clang++"):
        return "clang++ is not installed"
    with tempfile.TemporaryDirectory() as directory:
        probe = Path(directory) / "probe.cc"
        probe.write_text('extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n')
        result = subprocess.run(["clang++", "-fsanitize=fuzzer,address", str(probe), "-o", f"{directory}/probe"],
                                capture_output=True, check=False)
    return None if result.returncode == 0 else "clang++ has no libFuzzer here (libclang-rt-dev)"


def build(target, directory):
    configure = ["cmake", "--preset", "fuzz", "-S", str(ROOT), "-B", str(directory), "--log-level=WARNING"]
    make = ["cmake", "--build", str(directory), "--target", target]
    for command in (configure, make):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode:
            print(result.stdout[-8000:], result.stderr[-4000:])
            return False
    return True


def fill_corpus(directory, ktapc):
    for index, path in enumerate(sorted([*ROOT.glob("scripts/**/*.kp"), *ROOT.glob("tests/golden/**/*.kp")])):
        text = path.read_bytes().split(b"\n#---\n")[0]
        script = directory / f"{index}_{path.name}"
        script.write_bytes(text)
        if ktapc:
            strip = ["-s"] if index % 2 else []
            subprocess.run([str(ktapc), *strip, "-o", f"{script}.ktap", str(script)], capture_output=True, check=False)
            script.unlink()
    dictionary = ["trace", "trace_end", "tick-1s", "profile-9hz", "function", "sort_pairs", "/pid == 1/", "syscalls:*",
                  "~sys_enter_read", "[=[", "]=]", "<<<", "..", "&&", "0x7fffffffffffffff", "10ms", "\\\\x41"]
    return "".join(f'"{word}"\n' for word in dictionary)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--ktapc", type=Path, help="compile the first inputs with it")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was found")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return 77
    if not build(options.target, options.build):
        return 1
    with tempfile.TemporaryDirectory(prefix="ktap-fuzz-") as directory:
        corpus = options.corpus or Path(directory) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        words = Path(directory) / "words"
        words.write_text(fill_corpus(corpus, options.ktapc))
        artifacts = options.build / "artifacts"
        artifacts.mkdir(exist_ok=True)
        command = [str(options.build / "fuzz" / options.target), "-seed=1", f"-max_total_time={options.seconds}",
                   "-max_len=4096", "-timeout=5", "-print_final_stats=1", f"-dict={words}",
                   f"-artifact_prefix={artifacts}/", str(corpus)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = result.stderr.split("\n")
    print("\n".join(lines[-60:] if result.returncode else [line for line in lines if line.startswith("stat::")]))
    if result.returncode:
        print(f"the input that did it is in {artifacts}")
    return 1 if result.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
