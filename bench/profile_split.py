#!/usr/bin/env python3
"""A known program with two functions that spin 30:70, under profile-997hz and ustack(): prints the
split that the samples give. Needs root and a C compiler.

  profile_split.py KTAP [--seconds N]
"""

import argparse
import os
import subprocess
import sys
import tempfile

PROGRAM = r"""
#include <stdlib.h>
#include <time.h>
static inline __attribute__((always_inline)) void spin_for(long rounds) {
  for (long i = 0; i < rounds; ++i) __asm__ volatile("" : : "r"(i) : "memory");
}
__attribute__((noinline)) void thirty(void) { spin_for(30000); }
__attribute__((noinline)) void seventy(void) { spin_for(70000); }
int main(int argc, char** argv) {
  time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
  while (time(NULL) < end) {
    thirty();
    seventy();
  }
}
"""

SCRIPT = """
var s = {}
profile-997hz { s[ustack()] += 1 }
trace_end {
  for (k, v in pairs(s)) {
    var lines = string.split(tostring(k), "\\n => ")
    var folded = ""
    for (i = len(lines), 2, -1) { folded = folded .. ";" .. string.split(lines[i], "+")[1] }
    printf("%s %d\\n", string.sub(folded, 2), v)
  }
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ktap")
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "spin.c")
        program = os.path.join(folder, "spin")
        with open(source, "w") as file:
            file.write(PROGRAM)
        subprocess.run(["cc", "-O1", "-fno-omit-frame-pointer", "-o", program, source], check=True)
        run = subprocess.run([options.ktap, "-q", "-e", SCRIPT, "--", program,
                              str(options.seconds)], capture_output=True, text=True, timeout=600)
    sys.stderr.write(run.stderr)
    counts = {"thirty": 0, "seventy": 0, "": 0}
    for line in run.stdout.splitlines():
        folded, _, count = line.rpartition(" ")
        leaf = folded.split(";")[-1]
        counts[leaf if leaf in counts else ""] += int(count)
    spun = counts["thirty"] + counts["seventy"]
    if spun == 0:
        sys.exit("no samples in either function")
    print(f"thirty {100 * counts['thirty'] / spun:.1f} %, seventy {100 * counts['seventy'] / spun:.1f} % "
          f"of {spun} samples; elsewhere {counts['']}")


if __name__ == "__main__":
    main()
