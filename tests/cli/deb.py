#!/usr/bin/env python3
"""The Debian package (tests/cli/deb.py BUILD MAN5): what it holds and says, and that it installs, runs and removes
cleanly under a dpkg whose root and database are folders of this test. MAN5 is `none` where lowdown is missing."""
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
FOLDERS = ("usr/bin", "usr/share")
MANUALS = ("man1/ktap.1.gz", "man1/ktapc.1.gz", "man5/ktap-language.5.gz")


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False, **more)


def readelf(what, program):
    with tempfile.NamedTemporaryFile() as file:
        file.write(program)
        file.flush()
        return run("readelf", what, file.name).stdout


class Package:
    """The file, unpacked as a list: name → its entry and its bytes."""

    def __init__(self, path):
        self.path = path
        self.fields = dict(re.findall(r"^(\S+): (.*)$", run("dpkg-deb", "-f", path).stdout, re.M))
        self.control = self.members("--ctrl-tarfile")
        self.files = self.members("--fsys-tarfile")
        self.program = self.files["usr/bin/ktap"][1]

    def members(self, how):
        done = subprocess.run(["dpkg-deb", how, str(self.path)], capture_output=True, timeout=TIMEOUT_S, check=True)
        with tempfile.TemporaryFile() as file:
            file.write(done.stdout)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                return {entry.name.removeprefix("./").rstrip("/"):
                        (entry, tar.extractfile(entry).read() if entry.isfile() else b"")
                        for entry in tar if entry.name.strip("./")}


def says_what_it_is(package, man5):
    fields = package.fields
    wanted = ("Package", "Version", "Architecture", "Maintainer", "Installed-Size", "Section", "Priority",
              "Description")
    if missing := [name for name in wanted if not fields.get(name)]:
        return f"no field {missing}"
    size_kib = sum(len(data) for _, data in package.files.values()) / 1024
    if not size_kib * 0.8 < int(fields["Installed-Size"]) < size_kib * 1.5:
        return f"Installed-Size {fields['Installed-Size']}, and the files have {size_kib:.0f} KiB"
    return "" if re.fullmatch(r"[^<>]+ <[^<> ]+@[^<> ]+>", fields["Maintainer"]) else fields["Maintainer"]


def needs_its_libraries(package, man5):
    """Each library that the program names, by the package that has it here; none when it is static."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-dW", package.program))
    depends = package.fields.get("Depends", "")
    named = {word.split(" ")[0].split(":")[0] for word in depends.split(", ") if word}
    if not needed:
        return f"a static program, and Depends: {depends}" if depends else ""
    problems = []
    for library in needed:
        found = run("dpkg-query", "-S", f"*/{library}").stdout
        owners = {line.split(":")[0] for line in found.split("\n") if line}
        if not owners & named:
            problems.append(f"{library} is in {sorted(owners)}, and Depends: {depends}")
    if "libc6" not in named:
        problems.append(f"no libc6 in Depends: {depends}")
    return "\n".join(problems)


def has_documents(package, man5):
    problems = []
    for name in MANUALS:
        if man5 == "none" and name.startswith("man5"):
            continue
        entry = package.files.get(f"usr/share/man/{name}")
        if entry is None:
            problems.append(f"no manual page {name}")
        elif entry[1][4:8] != bytes(4) or b".TH" not in gzip.decompress(entry[1]):
            problems.append(f"{name}: a time in its gzip header, or no manual page")
    bare = [name for name in package.files if re.search(r"/man/.*\.\d$", name)]
    copyright_text = package.files.get("usr/share/doc/ktap/copyright", (None, b""))[1].decode()
    if "/usr/share/common-licenses/GPL-2" not in copyright_text or not copyright_text.startswith("This is ktap, "):
        problems.append("no copyright file as Debian wants it")
    changes = gzip.decompress(package.files["usr/share/doc/ktap/changelog.gz"][1]).decode()
    if not changes.startswith(f"ktap ({package.fields['Version']}) "):
        problems.append(f"the changelog begins with {changes[:40]!r}")
    return "\n".join(problems + [f"{name} is not compressed" for name in bare])


def has_good_files(package, man5):
    """Root's, of usual permissions, in usual places, nothing empty, stripped, sums right."""
    lines = package.control["md5sums"][1].decode().splitlines()
    problems, sums = [], dict(reversed(line.split("  ")) for line in lines)
    folders_used = {os.path.dirname(name) for name in package.files}
    for name, (entry, data) in package.files.items():
        right = 0o755 if entry.isdir() or name == "usr/bin/ktap" else 0o777 if entry.issym() else 0o644
        if (entry.uid, entry.gid, entry.mode & 0o7777) != (0, 0, right):
            problems.append(f"{name}: {entry.uid}:{entry.gid} {entry.mode:o}")
        if not entry.isdir() and not name.startswith(FOLDERS):
            problems.append(f"{name}: an unusual place")
        if entry.isdir() and name not in folders_used:
            problems.append(f"{name}: an empty folder")
        if entry.isfile() and sums.get(name) != hashlib.md5(data).hexdigest():
            problems.append(f"{name}: its sum is not in md5sums")
    if len(sums) != sum(entry.isfile() for entry, _ in package.files.values()):
        problems.append("md5sums names other files")
    if re.search(r" \.(symtab|debug_info) ", readelf("-SW", package.program)):
        problems.append("usr/bin/ktap is not stripped")
    if package.files["usr/bin/ktapc"][0].linkname != "ktap":
        problems.append("usr/bin/ktapc is no link to ktap")
    scripts = [name for name in package.control if name not in ("control", "md5sums")]
    return "\n".join(problems + [f"a maintainer script: {name}" for name in scripts])


class Machine:
    """A root and a dpkg of the test's own, in which what ktap depends on counts as installed when it is so here."""

    def __init__(self, folder, depends):
        self.root, self.database = folder / "root", folder / "root/var/lib/dpkg"
        for name in ("info", "updates", "triggers", "alternatives", "parts"):
            (self.database / name).mkdir(parents=True)
        # Another package shares /usr, as on every machine.
        paragraphs = ["Package: base\nStatus: install ok installed\nMaintainer: x <x@x>\nArchitecture: all\n"
                      "Version: 1\nDescription: base\n"]
        (self.database / "info/base.list").write_text("/.\n/usr\n/usr/mine\n")
        for name in sorted({word.split(" ")[0] for word in depends.split(", ") if word}):
            status = run("dpkg-query", "-s", name).stdout
            paragraphs += [text for text in re.split(r"\n\n(?=Package:)", status.strip() + "\n") if text.strip()]
            for list_file in {name, f"{name}:{run('dpkg', '--print-architecture').stdout.strip()}"}:
                (self.database / "info" / f"{list_file}.list").write_text("")
        (self.database / "status").write_text("\n".join(paragraphs) + "\n")
        (self.database / "available").write_text("")
        (self.root / "usr").mkdir()
        (self.root / "usr/mine").write_text("stays")

    def dpkg(self, *words):
        command = ["dpkg", f"--root={self.root}", "--force-not-root,bad-path", *words]
        if os.geteuid() != 0:
            command.insert(0, "fakeroot")
        done = run(*command)
        return "" if done.returncode == 0 and "warning" not in done.stderr else done.stdout + done.stderr

    def files(self):
        """All but the database: names → sizes."""
        return {str(path.relative_to(self.root)): path.lstat().st_size if not path.is_dir() else 0
                for path in self.root.rglob("*") if not path.is_relative_to(self.root / "var")}


def installs_runs_and_goes(package, man5):
    foreign = package.fields["Architecture"] not in ("all", run("dpkg", "--print-architecture").stdout.strip())
    with tempfile.TemporaryDirectory(prefix="ktap-deb-") as folder:
        machine = Machine(Path(folder), package.fields.get("Depends", ""))
        before = machine.files()
        if problem := machine.dpkg("--force-architecture" if foreign else "--no-force-all", "-i", package.path):
            return f"dpkg -i: {problem}"
        there = set(machine.files()) - set(before)
        if there != set(package.files) - {"usr"}:
            return f"installed and packed differ: {sorted(there ^ set(package.files))[:10]}"
        if not foreign:
            usr = machine.root / "usr"
            done = run(usr / "bin/ktap", usr / "share/ktap/scripts/helloworld.kp")
            if done.stdout != "Hello World! I am ktap\n":
                return f"ktap says {done.stdout!r} {done.stderr!r}"
            done = run(usr / "bin/ktapc", "-o", Path(folder) / "x.ktap", usr / "share/ktap/scripts/helloworld.kp")
            if done.returncode != 0 or not (Path(folder) / "x.ktap").is_file():
                return f"ktapc: {done.stderr}"
        if problem := machine.dpkg("--purge", "ktap"):
            return f"dpkg --purge: {problem}"
        left = machine.files()
        return "" if left == before else f"left behind or gone: {sorted(set(left) ^ set(before))}"


def main(arguments):
    build, man5 = arguments
    report = Report("deb")
    missing = [name for name in ("dpkg", "dpkg-deb", "dpkg-shlibdeps", "readelf") if not shutil.which(name)]
    if os.geteuid() != 0 and not shutil.which("fakeroot"):
        missing.append("fakeroot")
    if missing:
        print(f"skipped: {missing[0]} is not installed")
        report.skip("deb", f"{missing[0]} is not installed")
        return report.finish()
    with tempfile.TemporaryDirectory(prefix="ktap-deb-") as folder:
        done = run(ROOT / "tools/deb", build, folder)
        os.mkdir(f"{folder}/again")
        again = run(ROOT / "tools/deb", build, f"{folder}/again")
        if done.returncode != 0 or done.stderr:
            report.fail("it is built", done.stdout + done.stderr)
            return report.finish()
        package = Package(Path(done.stdout.strip()))
        same = again.returncode == 0 and Path(again.stdout.strip()).read_bytes() == package.path.read_bytes()
        for name, problem in [("built twice it is the same", "" if same else "it differs"),
                              *((check.__name__, check(package, man5)) for check in (
                                  says_what_it_is, needs_its_libraries, has_documents, has_good_files,
                                  installs_runs_and_goes))]:
            if problem:
                report.fail(name, problem)
            else:
                report.ok(name)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
