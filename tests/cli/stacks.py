#!/usr/bin/env python3
"""Whose names the addresses of user stacks get, where a case file cannot say it: programs of the test's own, one behind
the other in a process, gone at once, in other namespaces, without symbols, made while they run (tests/cli/stacks.py
KTAP). Traces its own children alone; exit 77 without root or a compiler."""
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

failures = []
COUNTS = ("var s = {} trace syscalls:sys_enter_getppid { s[%s] += 1 } "
          "trace_end { for (k, v in pairs(s)) { print(v, k) } }")

# CALLS times a chain of calls that ends in getppid; then what THEN says.
PROGRAM = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#define NOINLINE __attribute__((noinline, noclone))
static inline __attribute__((always_inline)) long quietly(volatile int *n) {
  *n += 1;
  return syscall(SYS_getppid);  /* line 12 */
}
NOINLINE long INNER(volatile int *n) {
  volatile char room[200];
  room[*n % 100] = 1;
  return quietly(n) + room[0];  /* line 17 */
}
NOINLINE long OUTER(volatile int *n) { return INNER(n) + 1; }
int main(int argc, char **argv) {
  volatile int n = 0;
  for (int i = 0; i < 40; ++i) OUTER(&n);
  usleep(WAIT);
  THEN;
  return n == 40 ? 0 : 3;
}
"""


def expect(what, found, wanted):
    if found != wanted:
        failures.append(f"{what}: {found!r}, not {wanted!r}")


def expect_match(what, found, pattern):
    if not re.search(pattern, found, re.M):
        failures.append(f"{what}: no /{pattern}/ in {found!r}")


class Programs:
    def __init__(self, folder):
        self.folder = Path(folder)

    def build(self, name, inner, outer, *flags, then=";", wait=200000):
        """A program whose functions have these names."""
        return self.compile(name, PROGRAM, "-fno-optimize-sibling-calls", f"-DINNER={inner}", f"-DOUTER={outer}",
                            f"-DTHEN={then}", f"-DWAIT={wait}", *flags)

    def compile(self, name, text, *flags):
        """The path of the program that the C text makes."""
        source = self.folder / f"{name}.c"
        source.write_text(text)
        subprocess.run(["gcc", "-O1", *flags, source, "-o", self.folder / name], check=True)
        return str(self.folder / name)

    def run(self, command):
        subprocess.run(command, shell=True, check=True, cwd=self.folder)


def trace(ktap, script, *command, options=()):
    run = subprocess.run([ktap, "-q", *options, "-e", script, "--", *command], capture_output=True, text=True,
                         timeout=60)
    return run.stdout + run.stderr


def names(output):
    """Count and function names of each key, without what else the lines tell."""
    keys = re.split(r"^(?=\d+\t)", output, flags=re.M)
    found = []
    for key in filter(None, keys):
        count, _, stack = key.partition("\t")
        frames = re.findall(r"^ => ([\w:]+)", stack, re.M)
        found.append((int(count), frames))
    return sorted(found)


def outer(output):
    """Of each key the function that calls: the C library's own system call may keep no frame pointer."""
    return [(count, [name for name in frames if name.endswith("_outer")]) for count, frames in names(output)]


def before_an_exec(ktap, programs):
    """The same addresses, in two programs that a process ran."""
    flags = ["-no-pie", "-static", "-fno-omit-frame-pointer"]
    second = programs.build("second", "new_inner", "new_outer", *flags)
    first = programs.build("first", "old_inner", "old_outer", *flags, then=f'execl("{second}", "second", NULL)')
    for options in ([], ["--placement=user"]):
        output = trace(ktap, COUNTS % "ustack(3)", first, options=options)
        expect(f"stacks before and behind an exec {options}", outer(output),
               [(40, ["new_outer"]), (40, ["old_outer"])])


def unwound_before_an_exec(ktap, programs):
    """The same of stacks that user space unwinds: by the tables of each program, and named by its own files."""
    flags = ["-fomit-frame-pointer"]
    second = programs.build("second", "new_inner", "new_outer", *flags)
    first = programs.build("first", "old_inner", "old_outer", *flags, then=f'execl("{second}", "second", NULL)')
    for options in ([], ["--placement=user"]):
        output = trace(ktap, COUNTS % 'ustack("dwarf", 4)', first, options=options)
        expect(f"unwound stacks before and behind an exec {options}", outer(output),
               [(40, ["new_outer"]), (40, ["old_outer"])])


RECURSIVE = """
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noinline, noclone)) long deeper(volatile int *left) {
  volatile char room[40];
  room[*left] = 1;
  if (--*left == 0) return syscall(SYS_getppid);
  return deeper(left) + room[0];
}
int main(void) {
  volatile int left = 0;
  for (int i = 0; i < 40; ++i) {
    left = 12;
    deeper(&left);
  }
  usleep(300000);
  return 0;
}
"""


def under_a_return_probe(ktap, programs):
    """Return addresses that the kernel has put away: all callers are there. Beyond what it tells they are counted."""
    program = programs.build("waits", "waits_inner", "waits_outer", "-fomit-frame-pointer", wait=300000)
    probes = ", ".join(f"probe:{program}:{name}%return" for name in ("waits_inner", "waits_outer"))
    script = "trace %s { } trace syscalls:sys_enter_getppid { print(ustack(\"dwarf\")) }" % probes
    output = trace(ktap, script, program)
    expect("stacks under return probes",
           len(re.findall(r"^ => waits_inner\+.*\n => waits_outer\+.*\n => main\+", output, re.M)), 40)
    script = "trace probe:%s:waits_inner%%return { print(ustack(\"dwarf\", 2)) }" % program
    output = trace(ktap, script, program)
    expect("stacks at a return", len(re.findall(r"^ => waits_outer\+.*\n => main\+", output, re.M)), 40)
    program = programs.compile("recursive", RECURSIVE, "-fno-optimize-sibling-calls", "-fomit-frame-pointer")
    script = "trace probe:%s:deeper%%return { } trace syscalls:sys_enter_getppid { print(ustack(\"dwarf\")) }" % program
    output = trace(ktap, script, program)
    expect("stacks under many return probes",
           len(re.findall(r"^( => deeper\+.*\n){9} => \[uretprobe\]\n(?! =>)", output, re.M)), 40)
    expect_match("callers that they hide", output, r"^ktap: lost 40 .*: stack cut \(a function that a %return probe")


def soon_before_an_exec(ktap, programs):
    """Whoever is too late has addresses, but no other program's names."""
    flags = ["-no-pie", "-static", "-fno-omit-frame-pointer"]
    second = programs.build("second", "new_inner", "new_outer", *flags)
    first = programs.build("first", "old_inner", "old_outer", *flags, then=f'execl("{second}", "second", NULL)', wait=0)
    for _ in range(5):
        found = names(trace(ktap, COUNTS % "ustack(3)", first))
        expect("counts with no time before an exec", [count for count, _ in found], [40, 40])
        mixed = [frames for _, frames in found if {name[:4] for name in frames} >= {"new_", "old_"}]
        twice = sum("new_outer" in frames for _, frames in found)
        expect("names of another program", (mixed, twice), ([], 1))


def without_frame_pointers(ktap, programs):
    program = programs.build("bare", "bare_inner", "bare_outer", "-fomit-frame-pointer", "-g")
    for options in ([], ["--placement=user"]):
        output = trace(ktap, COUNTS % 'ustack("dwarf")', program, options=options)
        found = names(output)
        expect(f"by call frame information {options}", [(c, f[1:5]) for c, f in found],
               [(40, ["quietly", "bare_inner", "bare_outer", "main"])])
        expect_match("an inlined function", output, r"^ => quietly \[inlined\] \(bare\) at bare\.c:12$")
        expect_match("the function that holds it", output, r"^ => bare_inner\+0x\w+ \(bare\) at bare\.c:17$")
    stripped = programs.build("stripped", "bare_inner", "bare_outer", "-fomit-frame-pointer", "-s")
    depth = [len(re.findall("^ => ", trace(ktap, COUNTS % f'ustack("dwarf", {n})', stripped), re.M)) for n in (2, 4)]
    expect("frames of a stripped program", depth, [2, 4])
    # The first function of the program is there without its name, by where its file says that it begins.
    named = programs.build("stripped", "bare_inner", "bare_outer", "-fomit-frame-pointer")
    wanted = trace(ktap, COUNTS % 'ustack("dwarf")', named)
    programs.run("strip stripped")
    output = trace(ktap, COUNTS % 'ustack("dwarf")', named)
    frames = [len(re.findall("^ => (?!.*inlined)", text, re.M)) for text in (wanted, output)]
    expect("frames of a program and of the same stripped", frames[0], frames[1])
    expect_match("the beginning of a program", wanted, r"^ => _start\+0x\w+ \(stripped\)$")
    expect_match("the beginning of a stripped program", output, r"^ => 0x\w+ \(stripped\)\n(?! => )")


def without_tables(ktap, programs):
    """Stacks that end in the middle are counted by file; not those that frame pointers lead to their beginning."""
    for pointers, name in {"-fomit-frame-pointer": "bare", "-fno-omit-frame-pointer": "framed"}.items():
        program = programs.build(name, "bare_inner", "bare_outer", pointers, "-fno-asynchronous-unwind-tables")
        for options in ([], ["--diagnostics=json"], ["-q"]):
            run = subprocess.run([ktap, *options, "-e", COUNTS % 'ustack("dwarf")', "--", program],
                                 capture_output=True, text=True, timeout=60)
            what = "bare has no unwind tables (.eh_frame) for its code there"
            text = f"ktap: 40 stacks end early: {what}\n"
            if options == ["--diagnostics=json"]:
                text = f'{{"kind":"early-end","severity":"warning","message":"stacks end early: {what}","count":40}}\n'
            wanted = "" if name == "framed" or options == ["-q"] else text
            expect(f"the end of {name} {options}", run.stderr.replace("Tracing... Hit Ctrl-C to end.\n", ""), wanted)
            expect_match(f"stacks of {name}", run.stdout, r"^ => bare_inner\+")
    # The dynamic linker's first code has none, and nobody calls it.
    for _ in range(5):
        run = subprocess.run([ktap, "-e", 'profile-4997hz { print(ustack("dwarf")) }', "--", "/bin/true"],
                             capture_output=True, text=True, timeout=60)
        expect("the beginning of the dynamic linker", "end early" in run.stderr, False)
    # Of so many frames as were asked for, and of those that have tables.
    for name, flag, depth in (("bare", "-fno-asynchronous-unwind-tables", 2), ("whole", "-fomit-frame-pointer", 40)):
        program = programs.build(name, "bare_inner", "bare_outer", "-fomit-frame-pointer", flag)
        run = subprocess.run([ktap, "-e", COUNTS % f'ustack("dwarf", {depth})', "--", program], capture_output=True,
                             text=True, timeout=60)
        expect(f"the end of {name}, {depth} frames", run.stderr, "Tracing... Hit Ctrl-C to end.\n")


def without_symbols(ktap, programs):
    program = programs.build("plain", "hidden_inner", "hidden_outer", "-fno-omit-frame-pointer", "-Wl,--build-id")
    programs.run("nm -D --defined-only plain | awk '{print $3}' | sort > dynamic; "
                 "nm --defined-only plain | awk '$2 ~ /[tT]/ {print $3}' | sort > all; comm -13 dynamic all > keep; "
                 "objcopy -S --remove-section .gnu_debuglink --keep-symbols=keep plain mini && "
                 "strip --strip-all -R .comment plain -o bare && xz -f mini && "
                 "objcopy --add-section .gnu_debugdata=mini.xz bare packed")
    output = trace(ktap, COUNTS % "ustack(3)", program.replace("plain", "packed"))
    expect("symbols in .gnu_debugdata", outer(output), [(40, ["hidden_outer"])])
    build_id = re.search(r"Build ID: (\w+)", subprocess.run(["readelf", "-n", program], capture_output=True,
                                                              text=True).stdout).group(1)
    folder = f"/usr/lib/debug/.build-id/{build_id[:2]}"
    Path(programs.folder / "trace.sh").write_text(
        f"set -e\nmount -t tmpfs ktap-test /usr/lib/debug\nmkdir -p {folder}\n"
        f"cp {program} {folder}/{build_id[2:]}.debug\n"
        f"exec {ktap} -q -e '{COUNTS % 'ustack(3)'}' -- {programs.folder}/bare\n")
    if not Path("/usr/lib/debug").is_dir():
        print("skipped: a debug file by build-id (there is no /usr/lib/debug)")
        return
    run = subprocess.run(["unshare", "-m", "sh", programs.folder / "trace.sh"], capture_output=True, text=True,
                         timeout=60)
    expect("symbols by build-id", outer(run.stdout + run.stderr), [(40, ["hidden_outer"])])


def in_namespaces(ktap, programs):
    """A program that lies where nobody else sees it."""
    programs.build("inside", "inside_inner", "inside_outer", "-fno-omit-frame-pointer", wait=300000)
    hidden = programs.folder / "hidden"
    hidden.mkdir()
    command = f"mount -t tmpfs ktap-test {hidden} && cp {programs.folder}/inside {hidden}/seen && exec {hidden}/seen"
    output = trace(ktap, COUNTS % "ustack(3)", "unshare", "--mount", "--pid", "--fork", "sh", "-c", command,
                   options=["--follow"])
    expect("in other namespaces", [key for key in outer(output) if key[0] == 40], [(40, ["inside_outer"])])
    expect_match("its file", output, r"inside_outer\+0x\w+ \(seen\)")


def that_end_at_once(ktap, programs):
    """Programs that are gone when anybody looks, one behind the other, with the processes that only fork."""
    short = programs.build("short", "short_inner", "short_outer", "-fno-omit-frame-pointer", wait=0)
    loop = "i=0; while [ $i -lt 30 ]; do %s; i=$((i+1)); done"
    for stack in ("ustack(3)", 'ustack("dwarf", 4)'):
        for options in ([], ["--placement=user"]):
            for _ in range(3):
                output = trace(ktap, COUNTS % stack, "sh", "-c", loop % short, options=["--follow", *options])
                what = f"{stack} of programs that end at once {options}"
                lost = sum(map(int, re.findall(r"^ktap: lost (\d+) .*: ring buffer full", output, re.M)))
                if lost:  # ktap did not come to run for a while: what it has not seen, it has counted
                    expect(what, sum(count for count, _ in outer(output)) + lost, 30 * 40 + 1)
                    expect(what, {str(frames) for _, frames in outer(output)} - {"[]"}, {"['short_outer']"})
                else:
                    expect(what, Counter(map(str, outer(output))),
                           {"(40, ['short_outer'])": 30, "(1, [])": 1})  # 1: the shell's own
    script = ("var s = {} trace syscalls:sys_enter_exit_group, syscalls:sys_exit_close { s[ustack(1)] += 1 } "
              "trace_end { for (k, v in pairs(s)) { print(v, k) } }")
    for command in (["/bin/ls", "/"], ["sh", "-c", loop % "/bin/true"], ["sh", "-c", loop % "(exit 0)"]):
        for _ in range(3):
            output = trace(ktap, script, *command, options=["--follow"])
            expect_match(f"names in {command}", output, r"^ => \w.* \(.*\)")
            expect(f"addresses without a name in {command}", re.findall(r"^ => 0x\w+$", output, re.M), [])


def between_others(ktap, programs):
    """Not only of a command: everybody's, and printed as they come."""
    short = programs.build("short", "short_inner", "short_outer", "-fno-omit-frame-pointer", wait=0)
    script = 'trace syscalls:sys_enter_getppid /execname == "short"/ { print(ustack(3)) }'
    with subprocess.Popen([ktap, "-e", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tracer:
        tracer.stderr.readline()
        for _ in range(30):
            subprocess.run([short], check=True)
        tracer.send_signal(signal.SIGINT)
        output, errors = tracer.communicate(timeout=60)
    expect("stacks of everybody's programs", (len(re.findall(r"^ => short_outer\+", output, re.M)), errors), (1200, ""))


def addresses_that_ended(ktap, programs):
    """usym() of a process that ran once."""
    short = programs.build("short", "short_inner", "short_outer", "-no-pie", wait=0)
    address = re.search(r"^0*(\w+) T short_outer$", subprocess.run(["nm", short], capture_output=True, text=True,
                                                                   check=True).stdout, re.M).group(1)
    script = "var p = 0 trace syscalls:sys_enter_getppid { p = pid } trace_end { print(usym(0x%s, p)) }" % address
    expect("usym() of a process that has ended", trace(ktap, script, short), "short_outer+0x0 (short)\n")


FALSE_POINTER = """
#include <sys/syscall.h>
int main(void) {
  static long frame[2] = {0, CALLER};  /* as if that were who called */
  for (int i = 0; i < 40; ++i) {
    long number = SYS_getppid;
    __asm__ volatile("push %%rbp; mov %1, %%rbp; syscall; pop %%rbp"
                     : "+a"(number) : "r"(frame) : "rcx", "r11", "memory", "cc");
  }
  return 0;
}
"""


def behind_what_is_no_frame(ktap, programs):
    """What a register that is no frame pointer leads to is no caller where no code can lie."""
    if platform.machine() != "x86_64":
        print("skipped: a register that is no frame pointer (its code is x86-64's)")
        return
    for caller in ("8", "0x2f656c61636f6c2f", "0x3fbad20900007ffd", "0x800000001000", "-8"):
        program = programs.compile("lost", FALSE_POINTER, "-fomit-frame-pointer", "-mno-red-zone",
                                   f"-DCALLER={caller}")
        for options in ([], ["--placement=user"]):
            output = trace(ktap, COUNTS % "ustack()", program, options=options)
            expect(f"a stack without callers, {caller} {options}",
                   re.findall(r"^40\t<stack trace>\n => main\+0x\w+ \(lost\).*\n(?! => )", output, re.M) != [], True)


JIT = """
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
  /* push %rbp; mov %rsp, %rbp; mov $110, %eax; syscall; pop %rbp; ret */
  static const unsigned char code[] = "\\x55\\x48\\x89\\xe5\\xb8\\x6e\\0\\0\\0\\x0f\\x05\\x5d\\xc3";
  unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  char path[64];
  snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
  if (argc == 3) {
    ((void (*)(void))page)();
    usleep(1300000);
  }
  FILE *map = fopen(path, "w");
  fprintf(map, "%lx %x made_at_run_time\\n", (unsigned long)page, 64);
  fclose(map);
  for (int i = 0; i < 40; ++i) ((void (*)(void))page)();
  if (argc == 1) usleep(300000);
  return 0;
}
"""


def made_at_run_time(ktap, programs):
    if platform.machine() != "x86_64":
        print("skipped: code of a JIT compiler (its bytes are x86-64's)")
        return
    program = programs.compile("jit", JIT, "-fno-omit-frame-pointer")
    # The second time it has ended when it is looked at, and has left its map behind.
    for wait in ([], ["at once"]):
        for stack in ("ustack(2)", 'ustack("dwarf", 2)'):
            script = "trace syscalls:sys_enter_getppid { print(pid, %s) }" % stack
            output = trace(ktap, script, program, *wait)
            for pid in set(re.findall(r"^(\d+)\t", output, re.M)):
                Path(f"/tmp/perf-{pid}.map").unlink()
            expect(f"code of a JIT compiler, {stack} {wait}",
                   len(re.findall(r"^ => made_at_run_time\+0xb \(\[jit\]\)\n => main\+", output, re.M)), 40)
    # Its compiler tells of the code when the first stack has been printed.
    output = trace(ktap, "trace syscalls:sys_enter_getppid { print(pid, ustack(2)) }", program, "names", "later")
    for pid in set(re.findall(r"^(\d+)\t", output, re.M)):
        Path(f"/tmp/perf-{pid}.map").unlink()
    expect("code of a JIT compiler that is told later",
           re.findall(r"^ => (made_at_run_time|0x)", output, re.M), ["0x"] + ["made_at_run_time"] * 40)


PLUGIN = """
#ifndef DEEPER
#define DEEPER [1]
#endif
#include <sys/syscall.h>
#include <unistd.h>
long WORK(volatile int *n);
__attribute__((noinline, noclone)) long entry(volatile int *n) { return WORK(n) + 1; }
__attribute__((noinline, noclone)) long WORK(volatile int *n) {
  volatile long own DEEPER = {};
  *n += 1;
  (void)own;
  return syscall(SYS_getppid) + *n;
}
"""
HOST = """
#include <dlfcn.h>
int main(int argc, char **argv) {
  void *before = 0;
  volatile int n = 0;
  for (int i = 1; i < argc; ++i) {
    void *plugin = dlopen(argv[i], RTLD_NOW);
    long (*entry)(volatile int *) = (long (*)(volatile int *))dlsym(plugin, "entry");
    if (!entry || (before && before != entry)) return 7;
    before = entry;
    for (int k = 0; k < CALLS; ++k) entry(&n);
    dlclose(plugin);
  }
  return 0;
}
"""


def code_at_one_place(ktap, programs):
    """Two libraries, one behind the other at the same addresses: neither gets the name of the other."""
    flags = ["-shared", "-fPIC", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fno-toplevel-reorder"]
    plugins = [programs.compile(f"lib{name}.so", PLUGIN, f"-DWORK=work_{name}", *flags) for name in "ab"]
    host = programs.compile("host", HOST, "-fno-omit-frame-pointer", "-DCALLS=40")
    if subprocess.run([host, *plugins], check=False).returncode == 7:
        print("skipped: code_at_one_place: the second library lies elsewhere")
        return
    output = trace(ktap, COUNTS % "ustack()", host, *plugins)
    expect("libraries at one place", re.findall(r"work_.", output), [])
    expect_match("libraries at one place", output, r"^ => 0x[0-9a-f]+ \(\[liba.so or libb.so\]\)$")
    # Each when its stack is taken: what is there then is known, and its callers are.
    output = trace(ktap, 'trace syscalls:sys_enter_getppid { print(ustack("dwarf")) }', host, *plugins)
    expect("libraries at one place, unwound", len(re.findall(r"^ => main\+", output, re.M)), 80)
    expect("the second library, unwound", re.findall(r"work_b", output), [])
    expect("libraries at one place, both", len(re.findall(r"work_a|\[liba.so or libb.so\]", output)) >= 80, True)
    # They come and go before anybody can look: the callers are found, or it is said that they are not.
    flags = [*flags, "-fomit-frame-pointer"]
    a = programs.compile("libquicka.so", PLUGIN, "-DWORK=work_a", *flags)
    b = programs.compile("libquickb.so", PLUGIN, "-DWORK=work_b", "-DDEEPER=[9]", *flags)
    quick = programs.compile("quick", HOST, "-fomit-frame-pointer", "-DCALLS=1")
    for _ in range(5):
        run = subprocess.run([ktap, "-e", COUNTS % 'ustack("dwarf")', "--", quick, a, b, a], capture_output=True,
                             text=True, timeout=60)
        keys = re.findall(r"^(\d+)\t<stack trace>\n((?: => .*\n)+)", run.stdout, re.M)
        whole = sum(int(n) for n, stack in keys if " => main+" in stack)
        early = re.findall(r"^ktap: (\d+) stacks? ends? early: \[.*\] cannot be read, or has been", run.stderr, re.M)
        expect("libraries that come and go", whole + sum(map(int, early)), 3)


HANDLER = """
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile long sum;
__attribute__((noinline, noclone)) void handle(int number) { sum += syscall(SYS_getppid) + number; }
int main(void) {
  stack_t own = {.ss_sp = malloc(65536), .ss_size = 65536};
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&own, 0) || sigaction(SIGUSR1, &action, 0)) return 1;
  for (int i = 0; i < 40; ++i) raise(SIGUSR1);
  return 0;
}
"""


def on_another_stack(ktap, programs):
    """The copy of a handler's own stack holds no callers of whom the signal came to."""
    program = programs.compile("handler", HANDLER, "-fomit-frame-pointer")
    output = trace(ktap, 'trace syscalls:sys_enter_getppid { print(ustack("dwarf")) }', program)
    expect("a handler's stack", len(re.findall(r"^ => handle\+", output, re.M)), 40)
    expect_match("callers on another stack", output,
                 r"^ktap: lost 40 .*: stack cut \(its callers have a stack of their own")


def main():
    ktap = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not shutil.which("gcc"):
        print("skipped: needs root and gcc")
        return 77
    for check in (before_an_exec, unwound_before_an_exec, soon_before_an_exec, under_a_return_probe,
                  without_frame_pointers, without_tables, without_symbols, in_namespaces, that_end_at_once,
                  between_others, addresses_that_ended, made_at_run_time, behind_what_is_no_frame, code_at_one_place,
                  on_another_stack):
        with tempfile.TemporaryDirectory(prefix="ktap-stacks-") as folder:
            try:
                check(ktap, Programs(folder))
            except (subprocess.SubprocessError, OSError) as error:
                failures.append(f"{check.__name__}: {error}")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
