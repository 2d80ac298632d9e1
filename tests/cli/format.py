#!/usr/bin/env python3
"""ktap fmt over every script of the tree, and over the same scripts with their layout shaken: formatting twice changes
nothing, the syntax tree and the comments are those of before. Then the command itself.
usage: format.py KTAP
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
SEED = 20261126
SHAKEN_EACH = 2

# Strings, long strings and comments of a script; whatever else is one byte.
PIECES = re.compile(rb"""(?P<comment>\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
                    rb"""|\[(?P<level>=*)\[.*?\](?P=level)\])|(?P<other>.)""", re.S | re.X)


def run(ktap, *args, text=None, cwd=None):
    return subprocess.run([ktap, *args], input=text, stdin=subprocess.DEVNULL if text is None else None, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S)


def scripts():
    """(name, text) of all scripts; of golden cases the part before the expectation."""
    for path in sorted([*ROOT.glob("tests/golden/*/*.kp"), *ROOT.glob("scripts/**/*.kp")]):
        yield path.relative_to(ROOT).as_posix(), path.read_bytes().split(b"#---\n")[0]
    for page in (ROOT / "docs/language.md", ROOT / "README.md"):
        for number, block in enumerate(re.findall(rb"^```\n(.*?)^```", page.read_bytes(), re.S | re.M)):
            yield f"{page.name} {number}", block


def comments(text):
    return [m["comment"].rstrip() for m in PIECES.finditer(text) if m["comment"]]


def tree(ktap, text):
    """The syntax tree, or None when the script does not parse. Blanks in event texts do not count."""
    done = run(ktap, "--dump=ast", "-", text=text)
    if done.returncode != 0:
        return None
    lines = [re.sub(rb"\s+|\\n|\\t|\\r", b"", line) if re.match(rb" *(trace|tick|profile) ", line) else line
             for line in done.stdout.split(b"\n")]
    return lines


def shaken(text, random_):
    """The script with its blanks changed where they do not count, and comments behind commas and operators."""
    out, in_event = [], False
    for match in PIECES.finditer(text):
        piece = match[0]
        line = b"".join(out[-200:]).rsplit(b"\n", 1)[-1]
        in_event = re.match(rb"\s*(trace|tick|profile)\b[^{]*$", line) is not None
        if match["other"] and not in_event and random_.random() < 0.3:
            if piece in b",+*&|":
                piece += random_.choice([b"\n", b" # behind\n", b"\n  # alone\n", b"   ", b"\n\n\n"])
            elif piece in b" ":
                piece = random_.choice([b"  ", b" ", b"\t"])
            elif piece in b"\n":
                piece = random_.choice([b"\n\n\n", b" \n", b"\r\n", b"\n # between\n"])
        out.append(piece)
    return b"".join(out)


def problem(ktap, text):
    """What is wrong with the way that the script is formatted; "" when nothing."""
    before = tree(ktap, text)
    once = run(ktap, "fmt", "-", text=text)
    if before is None:
        return "" if once.returncode == 2 and once.stdout == b"" and once.stderr else "a wrong script was formatted"
    if once.returncode != 0:
        return "not formatted: " + once.stderr.decode(errors="replace")
    if tree(ktap, once.stdout) != before:
        return "another tree"
    if comments(once.stdout) != comments(text.replace(b"\r\n", b"\n")) and b"[[" not in text:
        return "other comments"
    twice = run(ktap, "fmt", "-", text=once.stdout)
    if twice.stdout == once.stdout:
        return ""
    return "formatting again changes it:\n" + twice.stdout.decode(errors="replace")


def every_script(ktap):
    count = 0
    for name, text in scripts():
        wrong = problem(ktap, text)
        if wrong:
            print(f"{name}: {wrong[:1500]}")
            return False
        count += 1
    return count > 200


def every_script_shaken(ktap):
    random_ = random.Random(SEED)
    count = 0
    for name, text in scripts():
        for _ in range(SHAKEN_EACH):
            other = shaken(text, random_)
            if tree(ktap, other) is None:
                continue  # the shaking broke it: a `return`, a call
            wrong = problem(ktap, other)
            if wrong:
                print(f"{name}, shaken (seed {SEED}): {wrong[:1500]}\n{other[:1500].decode(errors='replace')}")
                return False
            count += 1
    return count > 150


def scripts_are_formatted(ktap):
    """Those that users read."""
    files = [str(path) for path in sorted(ROOT.glob("scripts/**/*.kp")) if path.parent.name != "seeds"]
    done = run(ktap, "fmt", "--check", *files)
    if done.stdout:
        print(done.stdout.decode())
    return len(files) > 3 and done.returncode == 0


def check_names_what_differs(ktap):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "good.kp").write_text("var a = 1\n")
        Path(folder, "bad.kp").write_text("var a=1\n")
        done = run(ktap, "fmt", "--check", "good.kp", "bad.kp", cwd=folder)
        return done.returncode == 1 and done.stdout == b"bad.kp\n" and done.stderr == b"" and \
            Path(folder, "bad.kp").read_text() == "var a=1\n"


def write_keeps_mode_and_links(ktap):
    with tempfile.TemporaryDirectory() as folder:
        script, link = Path(folder, "a.kp"), Path(folder, "link.kp")
        script.write_text("#!/usr/bin/env ktap\nvar a=1")
        script.chmod(0o751)
        link.symlink_to("a.kp")
        done = run(ktap, "fmt", "-w", "link.kp", cwd=folder)
        return done.returncode == 0 and done.stdout == b"" and link.is_symlink() and \
            script.read_text() == "#!/usr/bin/env ktap\nvar a = 1\n" and script.stat().st_mode & 0o777 == 0o751 and \
            sorted(os.listdir(folder)) == ["a.kp", "link.kp"]


def a_wrong_script_is_not_written(ktap):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "wrong.kp").write_text("var a=(\n")
        Path(folder, "good.kp").write_text("var a=1\n")
        done = run(ktap, "fmt", "-w", "wrong.kp", "good.kp", cwd=folder)
        as_json = run(ktap, "fmt", "--diagnostics=json", "wrong.kp", cwd=folder)
        return done.returncode == 2 and b"wrong.kp:1:" in done.stderr and \
            Path(folder, "wrong.kp").read_text() == "var a=(\n" and \
            Path(folder, "good.kp").read_text() == "var a = 1\n" and json.loads(as_json.stderr)["code"] == "K0201"


def mistakes_of_the_command_line(ktap):
    return all(run(ktap, "fmt", *args).returncode == 2 and run(ktap, "fmt", *args).stderr.startswith(b"ktap: error: ")
               for args in ([], ["--chekc", "a"], ["-w", "-"], ["-w", "--check", "a"], ["/no/such"], ["/tmp"],
                            ["-w", "/no/such"], ["--"]))


def json_may_be_asked_for_before_the_word(ktap):
    done = run(ktap, "--diagnostics=json", "fmt", "-", text=b"var a=(\n")
    return done.returncode == 2 and json.loads(done.stderr)["code"] == "K0201" and \
        run(ktap, "--diagnostics=text", "fmt", "-", text=b"var a=1\n").stdout == b"var a = 1\n"


def a_compiled_file_is_told_as_such(ktap):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.kp").write_text("var a = 1\n")
        os.symlink(ktap, Path(folder, "ktapc"))
        subprocess.run([Path(folder, "ktapc"), "-o", "a.ktap", "a.kp"], cwd=folder, check=True, timeout=TIMEOUT_S)
        before = Path(folder, "a.ktap").read_bytes()
        done = run(ktap, "fmt", "-w", "a.ktap", cwd=folder)
        return done.returncode == 2 and b"a.ktap is compiled" in done.stderr and \
            Path(folder, "a.ktap").read_bytes() == before


CASES = [every_script, every_script_shaken, scripts_are_formatted, check_names_what_differs, write_keeps_mode_and_links,
         a_wrong_script_is_not_written, mistakes_of_the_command_line, json_may_be_asked_for_before_the_word,
         a_compiled_file_is_told_as_such]


def main():
    report = Report("format")
    for case in CASES:
        report.run(case, os.path.abspath(sys.argv[1]))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
