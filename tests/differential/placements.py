#!/usr/bin/env python3
"""One semantics wherever a handler runs: random scripts run twice on the same exact load, once as placed
(in the kernel where they fit) and once with --placement=user; output, error summary and status must be equal.

usage: placements.py KTAP LOAD [--scripts N] [--seed S]

The seed is printed; a disagreement prints the script and both outputs. Exit 0 equal, 1 not, 77 when this
machine or these privileges cannot trace.
"""

import argparse
import os
import random
import subprocess
import sys

LOAD = ("close:5 3 close:77 2 read 4 write 3 getppid 2 read:9 2 openat 2 close 1 "
        "sched_yield 3 write:12 2 close:5 1").split()

ENTER = {"close": ["args.fd"], "read": ["args.fd", "args.count"], "write": ["args.fd", "args.count"],
         "openat": ["args.dfd", "args.flags"], "getppid": [], "sched_yield": []}
READERS = ["sum(c)", "min(c)", "max(c)", "avg(c)", "stddev(c)", "quantile(c, 0.5)", "quantile(c, 1)", "hist(c)",
           "hist(c, \"log-linear\")", "hist(c, 0, 100, 7)", "hist(c, -9000, 9000, 1000)", "c"]
WORDS = ["a", "close", "sys_enter_close", "load", "x y"]


class Script:
    """Builds one random script; every handler has a table and a variable of its own, and shares one each."""

    def __init__(self, rng):
        self.rng = rng
        self.names = 0
        readers = ", ".join(["count(c)"] + rng.sample(READERS, rng.randint(0, 3)))
        self.lines = ["var shared = {}", "var total = 0", "var cells = {}", "var all = aggr()",
                      "var last = 0", "var names, words, sizes = {}, {}, {}",
                      "function show(c) { print(%s) }" % readers,
                      "function show_all(t) { for (k, c in sort_keys(t)) { print(k) show(c) } }",
                      "var limit = %d" % rng.randint(0, 9),
                      "function twice(x) { return x * 2 }",
                      "function clamp(x, top) { if (x > top) { return top } return x }"]

    def integer(self, atoms, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.3:
            return rng.choice(atoms + [str(rng.randint(-9, 99)), "limit", str(2 ** rng.randint(0, 62))])
        shape = rng.random()
        left = self.integer(atoms, depth - 1)
        right = self.integer(atoms, depth - 1)
        if shape < 0.6:
            return "(%s %s %s)" % (left, rng.choice("+ - * & | ^ << >>".split()), right)
        if shape < 0.72:
            return "(%s %s %s)" % (left, rng.choice("/ %".split()), right)
        if shape < 0.82:
            return "%s(%s)" % (rng.choice(["-", "~"]), left)
        if shape < 0.9:
            return "twice(%s)" % left
        return "clamp(%s, %s)" % (left, right)

    def condition(self, atoms, depth):
        rng = self.rng
        shape = rng.random()
        if depth > 0 and shape < 0.25:
            return "(%s %s %s)" % (self.condition(atoms, depth - 1), rng.choice(["&&", "||"]),
                                   self.condition(atoms, depth - 1))
        if depth > 0 and shape < 0.35:
            return "!(%s)" % self.condition(atoms, depth - 1)
        if shape < 0.45:
            return "execname %s \"load\"" % rng.choice(["==", "!="])
        if shape < 0.55:
            return "probename %s \"%s\"" % (rng.choice(["==", "!="]), rng.choice(WORDS))
        return "%s %s %s" % (self.integer(atoms, 1), rng.choice("== != < <= > >=".split()), self.integer(atoms, 1))

    def key(self, atoms, kind):
        if kind == "int":
            return self.integer(atoms, 1)
        if kind == "name":
            return self.rng.choice(["probename", '"%s"' % self.rng.choice(WORDS)])
        if kind == "comm":
            return self.rng.choice(["execname", '"load"'])
        return "probename, %s" % self.rng.choice(atoms + ["3"])

    def fresh(self, letter):
        self.names += 1
        return "%s%d" % (letter, self.names)

    def loop(self, table, kind, variable, atoms, depth):
        """A loop of few rounds, or a function that captures a local variable, called in one."""
        rng = self.rng
        few = "(%s & %d)" % (rng.choice(atoms), rng.choice([3, 7, 15]))

        def block(more, inside=True):
            lines = [self.statement(table, kind, variable, atoms + more, depth - 1)]
            if inside and rng.random() < 0.3:
                lines.insert(rng.randint(0, 1), "if (%s) { %s }" % (self.condition(atoms + more, 1),
                                                                    rng.choice(["break", "continue", "return"])))
            return " ".join(lines)

        shape = rng.random()
        if shape < 0.4:
            i = self.fresh("i")
            first = rng.choice([str(rng.randint(-3, 9)), few])
            last = rng.choice([str(rng.randint(-3, 14)), few])
            step = rng.choice(["", "", ", 1", ", -1", ", 3", ", -2", ", %s - 2" % few])
            return "for (%s = %s, %s%s) { %s }" % (i, first, last, step, block([i]))
        if shape < 0.55:
            w = self.fresh("w")
            return "var %s = %s while (%s > 0) { %s -= 1 %s }" % (w, few, w, w, block([w]))
        if shape < 0.65:
            r = self.fresh("r")
            return "var %s = 0 repeat { %s += 1 %s } until (%s > %d || %s)" % (
                r, r, block([r], inside=False), r, rng.randint(1, 6), self.condition(atoms + [r], 1))
        if shape < 0.8:
            m = self.fresh("m")
            i = self.fresh("i")
            return ("var %s = nil for (%s = 1, %s) { if (%s == nil) { %s = %s } else { %s += %s } %s } "
                    "if (%s != nil) { print(%s) }" % (m, i, few, m, m, self.integer(atoms + [i], 1), m, i, block([i]),
                                                      m, m))
        c = self.fresh("c")
        f = self.fresh("f")
        i = self.fresh("i")
        return ("var %s = %s var %s = function (a) { %s += a if (%s) { return a } return %s, %s } "
                "for (%s = 1, %s) { %s } print(%s, %s(%s))" % (
                    c, self.integer(atoms, 1), f, c, self.condition(atoms + ["a", c], 1), c, self.integer(["a", c], 1),
                    i, few, rng.choice(["%s(%s)" % (f, i), "%s = %s(%s) * 2" % (c, f, i), block([c, i])]),
                    c, f, rng.choice(atoms)))

    def text_of(self, atoms):
        """A string that is made of others."""
        rng = self.rng
        return rng.choice([
            'execname .. ":" .. %s' % self.integer(atoms, 1),
            'string.sub(probename, %d, %d)' % (rng.randint(-8, 6), rng.randint(-4, 12)),
            'tostring(%s)' % self.integer(atoms, 1),
            'string.sub(execname, 2) .. "%s"' % rng.choice(WORDS),
            '(%s && "%s" || execname)' % (self.condition(atoms, 1), rng.choice(WORDS)),
        ])

    def walk(self, table, variable, atoms, depth):
        """A loop; what it does with a table does not depend on the order of its entries."""
        rng = self.rng
        inner = self.statement(table, "int", variable, atoms, depth - 1) if depth > 0 else "%s += 1" % variable
        leave = " if (%s) { %s }" % (self.condition(atoms, 1), rng.choice(["break", "continue"]))
        shape = rng.random()
        if shape < 0.3:
            return "for (i = %s, %s) { %s%s }" % (rng.randint(-2, 3), self.integer(atoms, 0) + " & 15",
                                                  "total += i", leave)
        if shape < 0.55:
            return "var w = 0 while (w < %d) { w += 1%s %s += w }" % (rng.randint(1, 9), leave, variable)
        if shape < 0.75:
            return "var r = %d repeat { r -= 1 %s } until (r < 1)" % (rng.randint(1, 4), inner)
        return "for (k, v in pairs(shared)) { if (v > %d) { %s += v } }" % (rng.randint(0, 9), variable)

    def later(self, table, variable, atoms, depth):
        """Strings, loops, aggregates, values of any type."""
        rng = self.rng
        shape = rng.random()
        if shape < 0.2:
            return "print(%s)" % self.text_of(atoms)
        if shape < 0.3:
            return "names[%s] = %s" % (self.integer(atoms, 0), self.text_of(atoms))
        if shape < 0.4:
            return "words[%s] += 1" % self.text_of(atoms)
        if shape < 0.5:
            return "last = %s" % rng.choice([self.text_of(atoms), "nil", self.integer(atoms, 1)])
        if shape < 0.65:
            return "sizes[%s] <<< %s" % (rng.choice(["arg0", "probename"]), self.integer(atoms, 1))
        if shape < 0.72:
            return "all <<< %s" % self.integer(atoms, 1)
        if shape < 0.8:
            return "total %s %s" % (rng.choice(["|=", "^=", "&="]), self.integer(atoms, 1))
        return self.walk(table, variable, atoms, depth)

    def statement(self, table, kind, variable, atoms, depth):
        rng = self.rng
        if depth > 0 and rng.random() < 0.15:
            return self.loop(table, kind, variable, atoms, depth)
        if rng.random() < 0.2:
            return self.later(table, variable, atoms, depth)
        shape = rng.random()
        key = self.key(atoms, kind)
        if rng.random() < 0.2:
            into = rng.choice(["cells[probename]", "all", "c%s[%s]" % (table, key), "c%s[%s]" % (table, key),
                               "x" + table])
            return "%s <<< %s" % (into, self.integer(atoms, 2))
        if shape < 0.25:
            return "%s[%s] %s %s" % (table, key, rng.choice(["+=", "-="]), self.integer(atoms, 2))
        if shape < 0.35:
            return "%s[%s] = %s" % (table, key, rng.choice([self.integer(atoms, 2), "nil"]))
        if shape < 0.45:
            return "print(%s, %s, probename)" % (self.integer(atoms, 2), self.condition(atoms, 1))
        if shape < 0.52:
            values = tuple(self.integer(atoms, 1) for _ in range(3))
            return 'printf("%%d|%%x|%%5d|%%s\\n", %s, %s, %s, execname)' % values
        if shape < 0.60:
            return "%s += %s" % (variable, self.integer(atoms, 1))
        if shape < 0.66:
            return "total += %s" % self.integer(atoms, 1)
        if shape < 0.72:
            return "shared[%s] += 1" % self.rng.choice(["arg0", "1", "limit"])
        if shape < 0.78:
            return "if (%s[%s] != nil) { print(%s[%s]) }" % (table, key, table, key)
        if shape < 0.83:
            return "%s[%s] = %s[%s] + 1" % (table, key, table, key)
        if depth > 0:
            block = " ".join(self.statement(table, kind, variable, atoms, depth - 1) for _ in range(rng.randint(1, 2)))
            if shape < 0.93:
                return "if (%s) { %s } else { %s }" % (self.condition(atoms, 1), block,
                                                       self.statement(table, kind, variable, atoms, depth - 1))
            return "if (%s) { return }" % self.condition(atoms, 1)
        return "print(argstr)"

    def handler(self, number):
        rng = self.rng
        name = rng.choice(sorted(ENTER))
        exits = rng.random() < 0.3 and name != "getppid"  # its result is another one in each run
        event = "syscalls:sys_%s_%s" % ("exit" if exits else "enter", name)
        atoms = ["arg0"] + (["retval", "args.ret"] if exits else list(ENTER[name]))
        table = "t%d" % number
        variable = "v%d" % number
        kind = rng.choice(["int", "int", "name", "comm", "pair"])
        self.lines += ["var %s = {}" % table, "var %s = %d" % (variable, rng.randint(0, 5)),
                       "var c%s = {}" % table, "var x%s = aggr()" % table]
        if rng.random() < 0.2:
            self.lines.append("x%s <<< %d" % (table, rng.randint(-99, 99)))
        filter_text = " /%s/" % self.condition(atoms, 1) if rng.random() < 0.4 else ""
        body = ["local x = %s" % self.integer(atoms, 2)]
        inner = atoms + ["x"]
        body += [self.statement(table, kind, variable, inner, 2) for _ in range(rng.randint(1, 5))]
        # `return` must be the last statement of its block: it stands in an if of its own.
        self.lines += ["trace %s%s {" % (event, filter_text)] + ["  " + line for line in body] + ["}"]
        return ["print(\"%s\")" % table, "print(%s)" % table, "print(%s)" % variable, "show_all(c%s)" % table,
                "show(x%s)" % table]

    def text(self, handlers):
        ends = []
        for number in range(handlers):
            ends += self.handler(number)
        ends += ["print(shared)", "print(total)", "print(last)", "print(names)", "print(words)", "print(all)",
                 "print(quantile(all, 0.9), stddev(all))", "for (k, v in sort_keys(sizes)) { print(k, v, max(v)) }",
                 "print_hist(all)", "show_all(cells)", "show(all)"]
        return "\n".join(self.lines + ["trace_end {"] + ["  " + line for line in ends] + ["}"]) + "\n"


def run(ktap, load, script, placement):
    done = subprocess.run([ktap, "-q", "--placement=" + placement, "-e", script, "--", load] + LOAD,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    summary = [line for line in done.stderr.splitlines() if line.startswith("ktap: ")]
    return done.returncode, done.stdout, sorted(summary), done.stderr


def where(ktap, script):
    done = subprocess.run([ktap, "--explain", "-e", script], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.count("\n  in the kernel\n"), done.stdout.count("\n  in user space: ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ktap")
    parser.add_argument("load")
    parser.add_argument("--scripts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--handlers", type=int, default=6)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: differential placements: needs root")
        return 77
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print("seed %d" % seed)
    kernel = user = failed = 0
    for number in range(options.scripts):
        script = Script(random.Random(seed * 1000003 + number)).text(options.handlers)
        in_kernel, in_user = where(options.ktap, script)
        kernel += in_kernel
        user += in_user
        auto = run(options.ktap, options.load, script, "auto")
        forced = run(options.ktap, options.load, script, "user")
        if auto[:3] == forced[:3] and auto[0] in (0, 1):
            continue
        failed += 1
        print("script %d disagrees:\n%s" % (number, script))
        for name, got in (("as placed", auto), ("in user space", forced)):
            print("--- %s: status %d\n%s--- %s, standard error\n%s" % (name, got[0], got[1], name, got[3]))
        if failed == 3:
            break
    print("%d scripts; of their handlers %d ran in the kernel, %d did not fit" % (options.scripts, kernel, user))
    if kernel == 0:
        print("no handler ran in the kernel: this compares nothing")
        failed += 1
    print("%d passed, %d failed" % (options.scripts - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
