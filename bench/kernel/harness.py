"""What the kernel benchmarks share: the load (`driver.c`), and what is attached meanwhile: nothing, C programs
(`attach.c`), ktap, bpftrace. Each is a context that is entered once it is armed and left once it is gone.

The driver has the last CPU, everything else that is started here the others.
"""
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Where tracefs is not mounted, bpftrace gets it in a mount namespace of its own: nothing is left behind.
OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              'mount -t debugfs none /sys/kernel/debug && exec "$@"', "sh"]
START_TIMEOUT_S = 60
END_TIMEOUT_S = 120
CPUS = sorted(os.sched_getaffinity(0))
DRIVER_CPU = CPUS[-1]
OTHER_CPUS = set(CPUS[:-1]) or {DRIVER_CPU}


def become_tracer():
    """In a tracer, before it starts: not on the driver's CPU, and ahead of what else the machine does."""
    os.sched_setaffinity(0, OTHER_CPUS)
    os.setpriority(os.PRIO_PROCESS, 0, -15)


def tool(ktap, name):
    """The program `name` of the benchmarks, built beside ktap."""
    return str(Path(ktap).resolve().parent / "bench" / name)


class Driver:
    """The process that makes the system calls and times them."""

    def __init__(self, ktap):
        self.process = subprocess.Popen([tool(ktap, "driver"), str(DRIVER_CPU)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = int(self.ask("pid"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the driver ended")
        return answer.strip()

    def sample(self, count, calls, pause_us=0):
        """ns a call, `count` times."""
        return [float(word) for word in self.ask(f"sample {count} {calls} {pause_us}").split()]

    def stats(self, calls, ids):
        """For each program (runs, ns in all)."""
        words = [int(word) for word in self.ask(f"stats {calls} " + " ".join(map(str, ids))).split()]
        return list(zip(words[::2], words[1::2]))

    def rate(self, span_ms):
        """(calls, ns that they took) at full rate."""
        return tuple(int(word) for word in self.ask(f"rate {span_ms}").split())


class Nothing:
    ids = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Process:
    """A process that traces from the line with `banner` on until it is interrupted."""

    def __init__(self, command, banner, stream, output=None, stop=signal.SIGINT):
        self.command, self.banner, self.stream, self.output, self.stop = command, banner, stream, output, stop
        self.said = b""     # on `stream`
        self.ids = ()

    def __enter__(self):
        pipes = {"stdout": self.output or subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                 self.stream: subprocess.PIPE}
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, preexec_fn=become_tracer, **pipes)
        try:
            self.wait_for_banner()
        except Exception:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def wait_for_banner(self):
        pipe = getattr(self.process, self.stream)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.banner not in self.said:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(pipe.fileno(), 65536) if ready else b""
            if not data:
                raise RuntimeError(f"{' '.join(self.command)}: not armed; it said:\n{self.said.decode()}")
            self.said += data

    def __exit__(self, *_):
        if self.stop is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(self.stop)
        try:
            pipe = getattr(self.process, self.stream)
            while data := os.read(pipe.fileno(), 65536):
                self.said += data
            self.process.wait(timeout=END_TIMEOUT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


class Attached(Process):
    """Programs written in C, from an object file."""

    def __init__(self, ktap, program):
        super().__init__([tool(ktap, "attach"), program], b"\n", "stdout", stop=None)

    def __enter__(self):
        super().__enter__()
        self.ids = [int(word) for word in self.said.decode().split()[1:]]
        return self


def program_ids(pid):
    """The eBPF programs that a process holds."""
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            found = re.search(r"^prog_id:\s*(\d+)", path.read_text(), re.MULTILINE)
        except OSError:
            continue    # closed meanwhile
        if found:
            yield int(found.group(1))


class Ktap(Process):
    def __init__(self, ktap, script, options=(), output=None):
        super().__init__([ktap, *options, "-e", script], b"Tracing...", "stderr", output)

    def __enter__(self):
        super().__enter__()
        self.ids = sorted(program_ids(self.process.pid))
        return self

    def losses(self):
        """How much it reported as lost."""
        return sum(map(int, re.findall(rb"^ktap: lost (\d+) ", self.said, re.MULTILINE)))


def in_user_space(ktap, script):
    """Why some handler of the script runs in user space; None when all run in the kernel."""
    text = subprocess.run([ktap, "--explain", "-e", script], capture_output=True, text=True, check=True).stdout
    found = re.search(r"in user space: (.*)", text)
    return found.group(1) if found else None


class Bpftrace(Process):
    """bpftrace attaches in the order of the script: once the interval prints, everything before it is attached.

    What it prints goes to the file `path`: a pipe that nobody reads would stop it. `buffered`, it writes the file when
    its buffer is full: the quickest way, but then nothing shows that it is ready.
    """
    READY = ' interval:ms:200 { printf("armed\\n"); }'
    LOADED_S = 1        # from loaded to attached, where nothing can be printed: plenty

    def __init__(self, script, path, buffered=False):
        mounted = Path("/sys/kernel/debug/tracing/events").is_dir()
        prefix = [] if mounted else OWN_MOUNTS
        self.path, self.buffered = path, buffered
        super().__init__([*prefix, shutil.which("bpftrace"), "-B", "full" if buffered else "line", "-e",
                          script + ("" if buffered else self.READY)], b"armed\n", "stderr")

    def __enter__(self):
        with open(self.path, "wb") as self.output:
            return super().__enter__()

    def ready(self):
        if not self.buffered:
            return self.banner in Path(self.path).read_bytes()[:65536]
        if not any(program_ids(self.process.pid)):
            return False
        time.sleep(self.LOADED_S)
        return True

    def wait_for_banner(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{' '.join(self.command)}: not armed")
            time.sleep(0.002)

    def losses(self):
        """How many records it reported as lost."""
        found = re.findall(rb"Lost (\d+) events", self.said + Path(self.path).read_bytes())
        return sum(map(int, found))

    @staticmethod
    def missing():
        return None if shutil.which("bpftrace") else "bpftrace is not installed"


def cannot_run():
    """Why nothing can be measured here; None when it can."""
    return None if os.geteuid() == 0 else "needs root"


def compile_bpf(folder):
    """Compiles bench/c with clang into `folder`; {name: object}."""
    sources = Path(__file__).resolve().parent.parent / "c"
    machine = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    objects = {}
    for source in sorted(sources.glob("*.c")):
        name = source.stem
        objects[name] = str(Path(folder) / f"{name}.o")
        subprocess.run(["clang", "-O2", "-g", "-Wall", "-target", "bpf", f"-I/usr/include/{machine}", "-c", str(source),
                        "-o", objects[name]], check=True)
    return objects


def middle(values):
    return statistics.median(values)


def spread(values, digits=1):
    """Median and the middle half."""
    if not values:
        return "-"
    quarter = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return f"{middle(values):.{digits}f} ({quarter[0]:.{digits}f}-{quarter[2]:.{digits}f})"


def scratch_folder():
    return tempfile.TemporaryDirectory(prefix="ktap-bench-")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(0)
