#!/usr/bin/env python3
"""What no golden or kernel case can show of the program as a process: broken output, unusable files, ends of pipes.
No privilege needed. usage: behaviour.py KTAP. Exit 0 when all pass.
"""

import fcntl
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from report import Report  # noqa: E402

TIMEOUT_S = 120
BURST_S = 0.5   # signals that come within it count as one


def run(ktap, *args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
    return subprocess.run([ktap, *args], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True,
                          timeout=TIMEOUT_S)


def first_line_then_close(ktap, script):
    """Reads one line and goes away, as `| head -1` does; the exit status, or None when ktap did not end."""
    with subprocess.Popen([ktap, "-q", "-e", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        process.stdout.close()
        try:
            status = process.wait(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return line, None, ""
        return line, status, process.stderr.read()


def directory_is_no_script(ktap):
    done = run(ktap, tempfile.gettempdir())
    return done.returncode == 2 and "cannot read" in done.stderr and "terminate" not in done.stderr


def directory_on_standard_input(ktap):
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    done = run(ktap, "-", stdin=folder)
    os.close(folder)
    return done.returncode == 2 and "standard input" in done.stderr


def missing_file(ktap):
    done = run(ktap, "/no/such/script.kp")
    return done.returncode == 2 and "/no/such/script.kp" in done.stderr


def arguments_that_nobody_reads_are_told(ktap):
    warning = "ktap: warning: the script reads no arguments: '{}' changes nothing"
    behind = warning.format("-p") + "; options of ktap stand before the script\n"
    with tempfile.TemporaryDirectory() as folder:
        path, reader = os.path.join(folder, "none.kp"), os.path.join(folder, "reader.kp")
        Path(path).write_text("print(1)")
        Path(reader).write_text("function f() { return arg[1] } print(1)")
        wanted = {("-p", "42"): behind, ("x", "-p"): warning.format("x") + "\n", (): "", ("--", "true"): ""}
        return all(run(ktap, path, *args).stderr == text for args, text in wanted.items()) and \
            run(ktap, reader, "-p", "42").stderr == "" and \
            '"kind":"warning"' in run(ktap, "--diagnostics=json", path, "-p").stderr


def no_end_is_no_script(ktap):
    with open("/dev/zero", "rb") as zero:
        outcomes = [run(ktap, "/dev/zero"), run(ktap, "-", stdin=zero)]
    return all(done.returncode == 2 and "is no script: it has more than 64 MB" in done.stderr for done in outcomes)


def main_chunk_ends_with_its_reader(ktap):
    line, status, errors = first_line_then_close(ktap, "var i = 0 while (true) { i += 1 print(i) }")
    return line == "1\n" and status == 0 and errors == ""


def tick_ends_with_its_reader(ktap):
    line, status, errors = first_line_then_close(ktap, "tick-1ms { print(7) }")
    return line == "7\n" and status == 0 and errors == ""


def trace_end_ends_with_its_reader(ktap):
    line, status, errors = first_line_then_close(ktap, "tick-1ms { exit() } trace_end { while (true) { print(1) } }")
    return line == "1\n" and status == 0 and errors == ""


def ends_on(ktap, script, number):
    """Sends the signal once the first line is there; (output, status, errors)."""
    with subprocess.Popen([ktap, "-q", "-e", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(TIMEOUT_S, process.kill)  # then the status tells
        guard.start()
        output = process.stdout.readline()
        process.send_signal(number)
        output += process.stdout.read()
        errors = process.stderr.read()
        status = process.wait()
        guard.cancel()
        return output, status, errors


# 20 000 short lines fill the output's buffer, so that the first one is there while the loop still runs.
PRINTS_THEN_LOOPS = "for (i = 1, 20000) { print(i) } while (true) { }"


def is_count(output):
    """1, 2, 3 … with no line missing, wherever the signal came in."""
    lines = output.splitlines()
    return len(lines) > 1 and lines == [str(i + 1) for i in range(len(lines))]


def ctrl_c_in_the_main_chunk_keeps_the_output(ktap):
    output, status, errors = ends_on(ktap, PRINTS_THEN_LOOPS, signal.SIGINT)
    return status == 0 and is_count(output) and errors == ""


def sigterm_in_trace_end_keeps_the_output(ktap):
    output, status, errors = ends_on(ktap, "trace_end { %s }" % PRINTS_THEN_LOOPS, signal.SIGTERM)
    return status == 0 and is_count(output) and errors == ""


def a_closed_terminal_ends_tracing_in_order(ktap):
    output, status, errors = ends_on(ktap, "tick-1ms { print(0) } trace_end { print(1) }", signal.SIGHUP)
    return status == 0 and output.endswith("0\n1\n") and errors == ""


def a_closed_terminal_leaves_it_alone_under_nohup(ktap):
    script = "var n = 5 tick-100ms { print(0) n -= 1 if (n == 0) { print(1) exit() } }"
    with subprocess.Popen(["nohup", ktap, "-q", "-e", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        output = process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        output += process.stdout.read()
        return process.wait() == 0 and output == "0\n" * 5 + "1\n"


def burst_of_signals(process):
    """As timeout(1) sends it, to its command and then to the group; so many that the second one comes soon enough.
    False where the machine took its time between the first and the last, so that they may count as two."""
    began = time.monotonic()
    for _ in range(100):
        process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    return time.monotonic() - began < BURST_S / 2


def burst_ends(ktap, script):
    """As ends_on(), with a burst of signals; again where it was none."""
    while True:
        with subprocess.Popen([ktap, "-q", "-e", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            guard = threading.Timer(TIMEOUT_S, process.kill)
            guard.start()
            output = process.stdout.readline()
            was_burst = burst_of_signals(process)
            output += process.stdout.read()
            errors = process.stderr.read()
            status = process.wait()
            guard.cancel()
            if was_burst:
                return output, status, errors


def burst_in_the_main_chunk_counts_as_one(ktap):
    ends = [burst_ends(ktap, PRINTS_THEN_LOOPS) for _ in range(5)]
    return all(status == 0 and is_count(output) and errors == "" for output, status, errors in ends)


def burst_in_trace_end_counts_as_one(ktap):
    ends = [burst_ends(ktap, "trace_end { %s }" % PRINTS_THEN_LOOPS) for _ in range(5)]
    return all(status == 0 and is_count(output) and errors == "" for output, status, errors in ends)


def burst_that_ends_tracing_leaves_trace_end_alone(ktap):
    script = "tick-1ms { print(0) } trace_end { for (i = 1, 3000000) { } print(1) }"
    ends = [burst_ends(ktap, script) for _ in range(5)]
    return all(status == 0 and output.endswith("0\n1\n") and errors == "" for output, status, errors in ends)


def waits_for_its_reader(process):
    """Its pipe is full and it sleeps."""
    size = fcntl.fcntl(process.stdout, 1032)    # F_GETPIPE_SZ
    ready = struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, b"0000"))[0]
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ready + 4096 > size and state == "S"


def later_second_signal_ends_at_once(ktap):
    """Nobody reads, so that the first one ends nothing."""
    with subprocess.Popen([ktap, "-q", "-e", "while (true) { print(1) }"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        guard = threading.Timer(TIMEOUT_S, process.kill)
        guard.start()
        while process.poll() is None and not waits_for_its_reader(process):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        time.sleep(2 * BURST_S)
        process.send_signal(signal.SIGINT)
        status = process.wait()
        guard.cancel()
        return status == -signal.SIGINT


def full_disk_is_an_error(ktap):
    with open("/dev/full", "w") as full:
        done = run(ktap, "-e", "while (true) { print(1) }", stdout=full)
    return done.returncode == 1 and "No space left" in done.stderr


def no_such_cpu(ktap):
    done = run(ktap, "-C", "9999", "-e", "tick-1ms { exit() }")
    return done.returncode == 2 and "no such CPU" in done.stderr


def exit_without_a_status_keeps_the_first(ktap):
    return run(ktap, "-q", "-e", "tick-1ms { exit(3) } trace_end { exit() }").returncode == 3


def output_file(ktap):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out")
        done = run(ktap, "-o", path, "-e", "print(1)")
        with open(path) as file:
            return done.returncode == 0 and done.stdout == "" and file.read() == "1\n"


def output_file_is_kept_where_nothing_is_traced(ktap):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        for words, wanted in ((("-e", "trace no:such { }"), "from before"), (("-e", "print(1"), "from before"),
                              (("--explain", "-e", "tick-1s { print(1) }"), "from before"),
                              (("-e", "error('x')"), "from before"), (("-e", "print(1)"), "1\n"),
                              (("-q", "-e", "tick-1ms { exit() }"), ""), (("-e", "exit()"), "")):
            path.write_text("from before")
            run(ktap, "-o", str(path), *words)
            if path.read_text() != wanted:
                print(words, path.read_text())
                return False
    return True


def closed_standard_files_are_no_others(ktap):
    """What is written to a number that is closed must not reach a file of ktap's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        shell = 'exec "$0" -q -o "$1" -e "tick-1ms { warn(1) print(2) error(3) } tick-9ms { exit() }"'
        for closing in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
            subprocess.run(["sh", "-c", f"{shell} {closing}", ktap, str(path)], timeout=TIMEOUT_S, check=False)
            if set(path.read_text().split()) != {"2"}:
                print(closing, path.read_text())
                return False
        done = subprocess.run(["sh", "-c", 'exec "$0" -q -e "tick-1ms { print(1) exit() }" >&-', ktap],
                              stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False)
        return done.returncode == 1 and "writing the output: Bad file descriptor" in done.stderr


def output_into_the_script_itself_is_refused(ktap):
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "a.kp"
        script.write_text("print(1)\n")
        link = Path(folder) / "link"
        link.symlink_to(script)
        for path in (script, link):
            done = run(ktap, "-o", str(path), str(script))
            if done.returncode != 2 or "is the script itself; name another file with -o" not in done.stderr:
                return False
        return script.read_text() == "print(1)\n"


def a_missing_interpreter_is_named(ktap):
    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder) / "command"
        command.write_text("#!/no/interpreter\n")
        command.chmod(0o755)
        done = run(ktap, "-q", "-e", "trace_end { }", "--", str(command))
        return "the interpreter that its first line names" in done.stderr


def out_of_memory_says_so(ktap):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
    def run_limited(script):
        return subprocess.run([ktap, "-e", script], preexec_fn=limit, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
    if run_limited("exit()").returncode != 0:
        return "a sanitizer's shadow memory does not fit into the limit"
    done = run_limited("var t = {} var i = 0 while (true) { t[i] = \"abc\" .. i i++ }")
    return done.returncode == 1 and "out of memory" in done.stderr


def a_listing_to_a_full_disk_is_an_error(ktap):
    long = "trace syscalls:* { print(pid, execname, ns) print(tid, cpu, probename) }"
    for arguments in [["-V"], ["--help"], ["-b", "-e", "print(1)"], ["--dump=ast", "-e", "print(1)"]] + [
            [mode, "-e", long] for mode in ("--explain", "--dump=ssa", "--dump=bpf") if os.geteuid() == 0]:
        with open("/dev/full", "w") as full:
            done = run(ktap, *arguments, stdout=full)
        if done.returncode == 0 or done.stderr.count("error:") != 1 or "No space left" not in done.stderr:
            print(arguments, done.returncode, done.stderr)
            return False
    return True


def a_listing_ends_with_its_reader(ktap):
    if os.geteuid() != 0:
        return True
    for mode in ("--explain", "--dump=bpf"):
        with subprocess.Popen([ktap, mode, "-e", "trace syscalls:* { print(pid, execname, argstr) }"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.close()
            if process.wait(TIMEOUT_S) != 0 or process.stderr.read():
                return False
    return True


def ctrl_c_before_anything_is_traced(ktap):
    """At some moment of the start, whichever it is: an end without an error, or the one of a process that has not
    asked for the signal yet."""
    if os.geteuid() != 0:
        return True
    script = "".join(f"trace syscalls:sys_enter_getppid /pid == {i}/ {{ print({i}, execname) }}\n"
                     for i in range(2, 600))
    for delay_s in (0, 0.01, 0.02, 0.03, 0.05, 0.1):
        with subprocess.Popen([ktap, "-q", "-e", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            time.sleep(delay_s)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        if process.returncode not in (0, -signal.SIGINT) or stdout or \
                stderr not in ("", "ktap: stopped before anything was traced\n"):
            print(delay_s, process.returncode, stdout, stderr)
            return False
    return True


CASES = [directory_is_no_script, directory_on_standard_input, missing_file, no_end_is_no_script,
         arguments_that_nobody_reads_are_told,
         main_chunk_ends_with_its_reader,
         tick_ends_with_its_reader, trace_end_ends_with_its_reader, ctrl_c_in_the_main_chunk_keeps_the_output,
         sigterm_in_trace_end_keeps_the_output, burst_in_the_main_chunk_counts_as_one,
         burst_in_trace_end_counts_as_one, burst_that_ends_tracing_leaves_trace_end_alone,
         later_second_signal_ends_at_once, full_disk_is_an_error, a_listing_to_a_full_disk_is_an_error,
         a_listing_ends_with_its_reader, ctrl_c_before_anything_is_traced, no_such_cpu,
         exit_without_a_status_keeps_the_first, output_file, output_file_is_kept_where_nothing_is_traced,
         closed_standard_files_are_no_others,
         output_into_the_script_itself_is_refused, a_missing_interpreter_is_named,
         a_closed_terminal_ends_tracing_in_order, a_closed_terminal_leaves_it_alone_under_nohup, out_of_memory_says_so]


def main():
    report = Report("cli")
    for case in CASES:
        report.run(case, sys.argv[1])
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
