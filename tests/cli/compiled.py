#!/usr/bin/env python3
"""ktapc and .ktap files as a user meets them: names of files, options, damaged files, messages without lines.
No privilege needed. usage: compiled.py KTAP (with ktapc beside it). Exit 0 when all pass.
"""
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
SCRIPT = 'function f(a) {\n  return a + 1\n}\nprint(arg[0], arg[1], f(1))\nif (arg[1] == "bad") { f("x") }\n'


class Folder:
    """A folder with x.kp in it, and the two programs run in it."""

    def __init__(self, ktap, path):
        self.programs = {"ktap": ktap, "ktapc": ktap.parent / "ktapc"}
        self.path = Path(path)
        self.write("x.kp", SCRIPT)

    def write(self, name, text):
        data = text if isinstance(text, bytes) else text.encode()
        (self.path / name).write_bytes(data)

    def read(self, name):
        return (self.path / name).read_bytes()

    def run(self, program, *args, stdin=b""):
        done = subprocess.run([self.programs[program], *args], cwd=self.path, input=stdin, capture_output=True,
                              timeout=TIMEOUT_S, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def compiled(self, *args):
        status, out, err = self.run("ktapc", *args)
        assert (status, out, err) == (0, "", ""), (args, status, out, err)
        return self


def expect(got, status, out="", err=""):
    """Standard error holds `err`; all of it when that ends with a newline."""
    good = got[0] == status and got[1] == out and (got[2] == err if err.endswith("\n") or not err else err in got[2])
    return "" if good else f"got {got}, expected {(status, out, err)}"


def first(*problems):
    return next((problem for problem in problems if problem), "")


def where_it_writes(at):
    at.compiled("x.kp")
    at.write("script", SCRIPT)
    at.compiled("script").compiled("-o", "other", "x.kp").compiled("x.kp", "-s", "-o", "small")
    os.mkdir(at.path / "sub")
    at.write("sub/y.kp", SCRIPT)
    at.compiled("sub/y.kp")
    if at.read("x.ktap") != at.read("other") or len(at.read("small")) >= len(at.read("other")):
        return "-o or -s does not do what it says"
    return first(expect(at.run("ktap", "script.ktap"), 0, "script.ktap\tnil\t2\n"),
                 expect(at.run("ktap", "sub/y.ktap", "7"), 0, "sub/y.ktap\t7\t2\n"))


def known_by_its_first_bytes(at):
    at.compiled("-o", "any.name", "x.kp")
    return first(expect(at.run("ktap", "any.name", "7"), 0, "any.name\t7\t2\n"),
                 expect(at.run("ktap", "-", "7", stdin=at.read("any.name")), 0, "stdin\t7\t2\n"),
                 expect(at.run("ktap", "any.name", "7", "--", "true"), 0, "any.name\t7\t2\n"))


def source_from_standard_input(at):
    got = at.run("ktapc", "-", "-o", "out", stdin=b"print(1)\nnil()\n")
    return first(expect(got, 2, err="stdin:2:1: error"),
                 expect(at.run("ktapc", "-", "-o", "out", stdin=b"print(1)\nerror('a')\n"), 0),
                 expect(at.run("ktap", "out"), 1, "1\n", "stdin:2:"),
                 expect(at.run("ktapc", "-", stdin=b"print(1)"), 2, err="ktapc: error: a script from standard input "
                        "needs -o OUT\n"))


def options_of_ktapc(at):
    usage = "ktapc: error: no script: ktapc [-s] [-o OUT] FILE.kp\n"
    status, out, err = at.run("ktapc", "--help")
    if status or err or not out.startswith("usage: ktapc [-s] [-o OUT] FILE.kp\n"):
        return "--help"
    return first(expect(at.run("ktapc"), 2, err=usage), expect(at.run("ktapc", "-s"), 2, err=usage),
                 expect(at.run("ktapc", "-o"), 2, err="ktapc: error: option '-o' needs OUT\n"),
                 expect(at.run("ktapc", "x.kp", "y.kp"), 2, err="ktapc: error: one script at a time"),
                 expect(at.run("ktapc", ""), 2, err="ktapc: error: the script's name is empty\n"),
                 expect(at.run("ktapc", "-S", "x.kp"), 2, err="ktapc: error: unknown option '-S'"),
                 expect(at.run("ktapc", "--versio"), 2, err="did you mean '--version'?"),
                 expect(at.run("ktapc", "-V"), 0, "ktapc 0.5.0\n"),
                 expect(at.run("ktapc", "no.kp"), 2, err="ktapc: error: cannot read no.kp: No such file or dir"),
                 expect(at.run("ktapc", "--", "-x.kp"), 2, err="cannot read -x.kp"))


def what_it_does_not_overwrite(at):
    at.compiled("x.kp")
    before = at.read("x.ktap")
    os.link(at.path / "x.kp", at.path / "same")
    at.write("x.kp", SCRIPT + "(")
    problem = first(expect(at.run("ktapc", "x.kp"), 2, err="x.kp:6:"),
                    "" if at.read("x.ktap") == before else "a compile error changed the old file")
    at.write("x.kp", SCRIPT)
    for name in ("x.kp", "same", "./x.kp"):
        problem = problem or expect(at.run("ktapc", "-o", name, "x.kp"), 2, err="is the script itself")
    return first(problem, "" if at.read("x.kp") == SCRIPT.encode() else "the script is gone")


def where_it_cannot_write(at):
    return first(expect(at.run("ktapc", "-o", "no/x.ktap", "x.kp"), 2,
                        err="ktapc: error: cannot write no/x.ktap: No such file or directory\n"),
                 expect(at.run("ktapc", "-o", "/dev/full", "x.kp"), 2,
                        err="ktapc: error: cannot write /dev/full: No space left on device\n"))


def compiled_twice(at):
    at.compiled("x.kp")
    return expect(at.run("ktapc", "-o", "y", "x.ktap"), 2,
                  err="ktapc: error: x.ktap: it is compiled already; give the .kp file\n")


def messages_are_those_of_the_source(at):
    from_source = at.run("ktap", "x.kp", "bad")
    at.compiled("-o", "y", "x.kp")
    os.unlink(at.path / "x.kp")
    status, out, err = at.run("ktap", "y", "bad")
    if (status, err) != (1, from_source[2]) or "  return a + 1" not in err or out != "y\tbad\t2\n":
        return f"{(status, out, err)}, from the source {from_source}"
    return ""


def messages_without_lines(at):
    at.compiled("-s", "x.kp")
    at.write("t.kp", 'var n = 0\ntick-1ms { n += 1 if (n == 3) { exit() } error("a" .. nil) }\n'
             'if (arg[1]) { error("x\\n\\x1b[2J") }\n')
    at.compiled("-s", "t.kp")
    handler = ("t.ktap: error: '..' joins strings and numbers, got nil (in tick-1ms)\n"
               "ktap: 2 errors at t.ktap: '..' joins strings and numbers, got nil\n")
    return first(expect(at.run("ktap", "x.ktap", "bad"), 1, "x.ktap\tbad\t2\n",
                        "x.ktap: error: '+' takes numbers, got a string (in f)\n"
                        "  called from x.ktap in main\n"),
                 expect(at.run("ktap", "-q", "t.ktap"), 1, err=handler),
                 expect(at.run("ktap", "t.ktap", "7"), 1, err="t.ktap: error: x\\n\\x1b[2J (in main)\n"))


def modes_of_ktap(at):
    at.compiled("x.kp").compiled("-s", "-o", "small.ktap", "x.kp")
    listing = at.run("ktap", "-b", "x.kp")
    small = at.run("ktap", "-b", "small.ktap")
    if "   2 |   return a + 1" not in listing[1] or "return a" in small[1] or "function #1 f (p0)" not in small[1]:
        return f"-b: {listing} {small}"
    return first("" if at.run("ktap", "-b", "x.ktap") == listing else "-b differs from the source's",
                 expect(at.run("ktap", "--check", "x.ktap"), 0),
                 expect(at.run("ktap", "-d", "x.ktap"), 0,
                        "x.ktap\tnil\t2\nno handlers: the script ends with its main chunk\n"),
                 expect(at.run("ktap", "--explain", "x.ktap"), 0,
                        "x.ktap\tnil\t2\nno handlers: the script ends with its main chunk\n"),
                 expect(at.run("ktap", "--dump=tokens", "x.ktap"), 2, err="ktap: error: x.ktap: --dump=tokens shows "
                        "source text, and this is compiled; give the .kp file\n"),
                 expect(at.run("ktap", "--dump=ast", "x.ktap"), 2, err="--dump=ast shows source text"))


def damaged_files(at):
    at.compiled("x.kp")
    data = at.read("x.ktap")
    newer = data[:8] + struct.pack("<H", 2) + data[10:]
    payload = data[20:].replace(b"\x05print", b"\x05prynt")
    renamed = data[:16] + struct.pack("<I", zlib.crc32(data[8:16] + payload)) + payload
    problems = []
    for text, message in ((b"print(1)\n", "no compiled script"), (b"", "no compiled script"),
                          (data[:10], "cut short"), (data[:-1], "cut short"),
                          (data + b"x", "damaged: 1 bytes follow its end"),
                          (data[:-1] + b"x", "damaged: its checksum"), (newer, "it needs a newer ktap"),
                          (renamed, "it needs a newer ktap: this one has no built-in function 'prynt'"),
                          (data.replace(b"\r\n", b"\n"), "damaged: its line ends")):
        at.write("d.ktap", text)
        for mode in ([], ["--check"], ["-b"], ["-d"], ["--explain"]):
            problems.append(expect(at.run("ktap", *mode, "d.ktap"), 2, err=f"ktap: error: d.ktap: {message}"))
    return first(*problems)


CASES = [where_it_writes, known_by_its_first_bytes, source_from_standard_input, options_of_ktapc,
         what_it_does_not_overwrite, where_it_cannot_write, compiled_twice, messages_are_those_of_the_source,
         messages_without_lines, modes_of_ktap, damaged_files]


def main():
    report = Report("cli_compiled")
    ktap = Path(sys.argv[1]).resolve()
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="ktap-compiled-") as folder:
            try:
                problem = case(Folder(ktap, folder))
            except AssertionError as error:
                problem = f"{error}"
        if problem:
            report.fail(case.__name__, problem)
        else:
            report.ok(case.__name__)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
