"""Boots a kernel in QEMU (emulated: no KVM is asked for), runs a list of jobs in it, returns what they printed.

The guest is one program, tests/guest/init.cc, and what is put beside it; no disk, no network, no state. What stands on
the command lines below was measured or met: microvm starts a third of a second faster than a PC but has no second
processor without ACPI, with which it hangs now and then; a tmpfs root is cut off silently at half of the memory.
"""
import re
import secrets
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import kernel_image

QUIET = ("quiet loglevel=0 panic=-1 oops=panic rdinit=/init rootfstype=ramfs audit=0 apparmor=0 selinux=0 "
         "random.trust_cpu=on random.trust_bootloader=on nowatchdog rcupdate.rcu_expedited=1 cryptomgr.notests "
         "mitigations=off")
MACHINES = {
    "amd64": (["qemu-system-x86_64", "-cpu", "max"], "console=ttyS0 reboot=t tsc=reliable no_timer_check lpj=4000000 "
              "i8042.noaux i8042.noprobe=1 edd=off"),
    "arm64": (["qemu-system-aarch64", "-cpu", "cortex-a72", "-machine", "virt"], "console=ttyAMA0"),
    "armhf": (["qemu-system-arm", "-cpu", "cortex-a15", "-machine", "virt,highmem=off"], "console=ttyAMA0"),
    "riscv64": (["qemu-system-riscv64", "-cpu", "rv64", "-machine", "virt"], "console=ttyS0"),
}
COMPLAINT = re.compile(r"^.*(?:\bBUG:|\bWARNING: |\bOops\b|Call Trace:|KASAN|UBSAN|soft lockup|rcu: INFO"
                       r"|general protection).*$", re.M)
# A control group that has no memory left, as a case wants it: the kernel shows who asked, with a stack.
WANT_OF_MEMORY = re.compile(r"invoked oom-killer:(?:(?!invoked oom-killer:).)*?oom-kill:constraint=CONSTRAINT_MEMCG",
                            re.S)


class GuestError(Exception):
    """The guest could not be started, or died before its jobs were done."""


@dataclass
class Job:
    """A program of the guest: init.cc says what each part means."""
    command: list
    directory: str = "/"
    timeout_s: float = 60
    signal: tuple = ()  # number, milliseconds
    load: list = field(default_factory=list)
    environment: list = field(default_factory=list)  # NAME=VALUE
    modules: list = field(default_factory=list)  # of /modules, loaded before it


@dataclass
class Result:
    stdout: bytes = b""
    stderr: bytes = b""
    status: int = None  # as subprocess gives it; None: killed for its time


def job_list(jobs, nonce):
    lines = [f"nonce {nonce}"]
    for number, job in enumerate(jobs):
        lines += [f"job {number}", f"directory {job.directory}", f"timeout {int(job.timeout_s)}"]
        if job.signal:
            lines.append(f"signal {job.signal[0]} {job.signal[1]}")
        lines += [f"environment {text}" for text in job.environment]
        lines += [f"module {name}" for name in job.modules]
        for word, words in (("load", job.load), ("command", job.command)):
            if any("\n" in text for text in words):
                raise GuestError(f"a newline in a word of {words}")
            lines += [f"{word} {len(words)}", *words] if words else []
        lines.append("end")
    return "\n".join(lines) + "\n"


def command_line(arch, image, is_elf, initrd, memory_mib, processors):
    qemu, kernel_words = MACHINES[arch]
    if arch == "amd64":
        machine = "microvm,acpi=off,pic=on,pit=on,rtc=on,auto-kernel-cmdline=off" if is_elf and processors == 1 else \
            "pc,usb=off,vmport=off,hpet=off"
        qemu = [*qemu, "-machine", machine]
    return [*qemu, "-accel", "tcg,thread=multi,tb-size=256", "-m", str(memory_mib), "-smp", str(processors),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-kernel", str(image), "-initrd", str(initrd), "-append", f"{QUIET} {kernel_words}"]


class Wire:
    """Takes the console's bytes apart into frames; what stands between them is the kernel's."""

    def __init__(self, nonce, jobs):
        self.mark = b"\x1e" + nonce.encode() + b" "
        self.results = [Result() for _ in range(jobs)]
        self.buffer, self.console, self.log = b"", b"", ""
        self.boot_s, self.done, self.ended = None, False, 0

    def feed(self, data):
        self.buffer += data
        while not self.done and self._frame():
            pass

    def _frame(self):
        """Takes the first frame off the buffer when it is whole."""
        at = self.buffer.find(self.mark)
        if at < 0:
            return False
        end = self.buffer.find(b"\n", at)
        if end < 0:
            return False
        word, *numbers = self.buffer[at + len(self.mark):end].decode("latin-1").split()
        size = int(numbers[-1]) if word in ("OUT", "ERR", "LOG") else 0
        if len(self.buffer) < end + 1 + size:
            return False
        payload = self.buffer[end + 1:end + 1 + size]
        self.console += self.buffer[:at]
        self.buffer = self.buffer[end + 1 + size:]
        if word == "OUT":
            self.results[int(numbers[0])].stdout = payload
        elif word == "ERR":
            self.results[int(numbers[0])].stderr = payload
        elif word == "STATUS":
            self.ended += 1
            status = int(numbers[1])
            self.results[int(numbers[0])].status = None if status < 0 else \
                -(status & 0x7f) if status & 0x7f else status >> 8
        elif word == "LOG":
            self.log = payload.decode("utf-8", "replace")
        elif word == "BEGIN":
            self.boot_s = int(numbers[0]) / 1000
        else:
            self.done = True
        return True


@dataclass
class Run:
    """What a guest left: a result for each job, its kernel's complaints, how long it took."""
    results: list
    complaints: list
    boot_s: float
    total_s: float


def run(arch, vmlinuz, files, jobs, timeout_s, processors=1):
    """`files` is an Initramfs with /init in it. Raises GuestError when the guest does not come to its end."""
    nonce = secrets.token_hex(8)
    files.put("jobs", job_list(jobs, nonce).encode())
    archive = files.archive()
    image, is_elf = kernel_image.boot_image(Path(vmlinuz))
    wire = Wire(nonce, len(jobs))
    with tempfile.TemporaryDirectory(prefix="ktap-guest-") as directory:
        initrd = Path(directory) / "initrd"
        initrd.write_bytes(archive)
        memory_mib = 960 + len(archive) * 9 // 4 // 2**20
        began = time.monotonic()
        try:
            process = subprocess.Popen(command_line(arch, image, is_elf, initrd, memory_mib, processors),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except FileNotFoundError as error:
            raise GuestError(f"{MACHINES[arch][0][0]} is not installed (tools/setup guests)") from error
        try:
            in_time = follow(process, wire, began + timeout_s)
        finally:
            process.kill()
            process.wait()
    if not wire.done:
        tail = "\n".join((wire.console + wire.buffer).decode("utf-8", "replace").splitlines()[-40:])
        running = jobs[wire.ended].command if wire.ended < len(jobs) else ["(none)"]
        at = f"in job {wire.ended} of {len(jobs)}: {' '.join(running)}"
        what = "the guest died " if in_time else f"no end within {timeout_s:g} seconds, "
        raise GuestError(f"{what}{at}\n{tail}")
    return Run(wire.results, complaints(wire.log), wire.boot_s, time.monotonic() - began)


def complaints(log):
    return COMPLAINT.findall(WANT_OF_MEMORY.sub("", log))


def follow(process, wire, deadline):
    """Reads the console to its end. False when the time is over."""
    while not wire.done:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        if not select.select([process.stdout], [], [], left_s)[0]:
            continue
        data = process.stdout.read1(65536)
        if not data:
            break
        wire.feed(data)
    return True
