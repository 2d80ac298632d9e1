#!/usr/bin/env python3
"""What `make install` puts where (tests/cli/install.py CMAKE BUILD MAN5): all is there, and nothing else lies about.
MAN5 is `none` where lowdown is missing."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from report import Report  # noqa: E402

WANTED = ["bin/ktap", "bin/ktapc", "share/man/man1/ktap.1", "share/man/man1/ktapc.1", "share/man/man5/ktap-language.5",
          "share/bash-completion/completions/ktap", "share/bash-completion/completions/ktapc",
          "share/fish/vendor_completions.d/ktap.fish", "share/fish/vendor_completions.d/ktapc.fish",
          "share/zsh/site-functions/_ktap", "share/vim/vimfiles/syntax/ktap.vim",
          "share/vim/vimfiles/ftdetect/ktap.vim",
          "share/ktap/vscode/package.json", "share/ktap/vscode/language-configuration.json",
          "share/ktap/vscode/syntaxes/ktap.tmLanguage.json", "share/doc/ktap/tutorial.md", "share/doc/ktap/language.md",
          "share/ktap/scripts/helloworld.kp"]
FOLDERS = ("share/ktap/scripts/", "share/doc/ktap/")  # as many files as there are


def main(arguments):
    cmake, build, man5 = arguments
    report = Report("install")
    with tempfile.TemporaryDirectory(prefix="ktap-install-") as folder:
        done = subprocess.run([cmake, "--install", build, "--prefix", "/usr"], env=dict(os.environ, DESTDIR=folder),
                              capture_output=True, text=True, check=False)
        if done.returncode:
            report.fail("install", done.stdout + done.stderr)
            return report.finish()
        prefix = Path(folder) / "usr"
        there = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
        wanted = [name for name in WANTED if man5 != "none" or not name.endswith(".5")]
        for name in wanted:
            if name in there and (prefix / name).exists():
                report.ok(name)
            else:
                report.fail(name, "not installed")
        more = sorted(name for name in there - set(wanted) if not name.startswith(FOLDERS))
        if more:
            report.fail("nothing else", "\n".join(more))
        else:
            report.ok("nothing else")
        done = subprocess.run([prefix / "bin/ktap", prefix / "share/ktap/scripts/helloworld.kp"], capture_output=True,
                              text=True, check=False)
        if done.stdout == "Hello World! I am ktap\n":
            report.ok("the installed ktap runs")
        else:
            report.fail("the installed ktap runs", done.stdout + done.stderr)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
