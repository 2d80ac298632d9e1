#!/usr/bin/env python3
"""What must name every option, word and function does (tests/cli/manuals.py KTAP MAN5): ktap(1), docs/cli.md and the
completions have the options of --help; the grammars of the editors have the words of src's tables. The manual pages are
without warnings, the completions complete, Vim colours. What is not installed here is skipped by name. MAN5 is the page
made of docs/language.md, or `none`. First each check is shown to find what is taken away."""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from report import Report  # noqa: E402

WORD_TABLES = {"syntax/tokens.def": r'KTAP_(?:KEYWORD|WORD_ALIAS)\(\w+, "(\w+)"\)',
               "schema/builtin_vars.def": r'KTAP_BUILTIN_VAR\(\w+, "(\w+)"\)'}


def table(name, pattern):
    """What a table of src/ says, its comments left out."""
    text = re.sub(r"(?m)^\s*//.*$", "", (ROOT / "src" / name).read_text())
    found = re.findall(pattern, text)
    assert found, name
    return found


def options(ktap):
    """Each spelling of each option, of both programs' --help."""
    names = set()
    for program in (ktap, Path(ktap).parent / "ktapc"):
        out = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        for line in re.findall(r"(?m)^  (-.*?)(?:  |$)", out):
            names |= set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", line))
    assert {"-e", "-le", "--follow", "--help"} <= names
    return names


def has_option(text, name):
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def fish_names(text):
    """The options that fish's `complete` lines give, as they are typed."""
    names = {"-" + word for word in re.findall(r" -[so] ([\w-]+)", text)}
    return " ".join(names | {"--" + word for word in re.findall(r" -l ([\w-]+)", text)})


def zsh_names(text):
    return " ".join(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", text))


def missing_options(names, texts):
    return [f"{where} lacks {name}" for where, text in texts.items() for name in sorted(names)
            if not has_option(text, name)]


def read(path):
    return (ROOT / path).read_text()


def option_texts():
    roff = re.sub(r"\\f[BIRP]|\\c", "", (read("man/ktap.1") + read("man/ktapc.1")).replace("\\-", "-"))
    return {"man": roff, "docs/cli.md": read("docs/cli.md"), "completion/ktap.bash": read("completion/ktap.bash"),
            "completion/_ktap": zsh_names(read("completion/_ktap")),
            "completion/ktap.fish": fish_names(read("completion/ktap.fish"))}


def words():
    """Keywords, variables, functions (`string.len`) of the language."""
    found = [word for name, pattern in WORD_TABLES.items() for word in table(name, pattern)]
    for library, name in table("bytecode/builtins.def", r'KTAP_BUILTIN\(\w+, "([\w%]*)", "(\w+)"'):
        if library != "%":
            found.append(f"{library}.{name}" if library else name)
    return found + ["pairs", "sort_pairs", "sort_keys"]


def vim_words(text):
    found = set(" ".join(re.findall(r"(?m)^syntax keyword \w+ (.*)$", text)).split())
    for names in re.findall(r'(?m)^syntax match ktapTrace "\\<\\\((.*?)\\\)\\>"', text):
        found |= set(names.split("\\|"))
    for library, names in re.findall(r'"\\<(\w+)\\\.\\\((.*?)\\\)\\>"', text):
        found |= {f"{library}.{name}" for name in names.split("\\|")}
    return found


def grammar_takes(grammar, word):
    """Whether a pattern for words takes the whole of `word`, and not a part of a longer one."""
    for key in ("keywords", "constants", "functions", "variables"):
        for pattern in grammar["repository"][key]["patterns"]:
            match = re.match(pattern["match"], word + " ")
            if match and match.group() == word and not re.match(pattern["match"], word + "x"):
                return True
    return False


def missing_words(vim, grammar):
    known = vim_words(vim)
    lacks = [f"editor/vim lacks {word}" for word in words() if word not in known]
    return lacks + [f"editor/vscode lacks {word}" for word in words() if not grammar_takes(grammar, word)]


def grammar_is_sound(grammar):
    """Every pattern compiles, every include is there, and what it must not take it does not."""
    for name in (part["include"][1:] for part in grammar["patterns"]):
        for pattern in grammar["repository"][name]["patterns"]:
            for key in ("match", "begin"):
                re.compile(pattern.get(key, ""))
    return not grammar_takes(grammar, "trace_ends") and not grammar_takes(grammar, "tabled")


def man_warnings(path):
    environment = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="100")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path], capture_output=True, text=True,
                          env=environment, check=False)
    return done.stderr + ("" if "NAME" in done.stdout else "no NAME section")


def shell(program, text, ktap):
    folder = tempfile.mkdtemp(prefix="ktap-complete-")
    try:
        os.symlink(os.path.realpath(ktap), os.path.join(folder, "ktap"))
        (Path(folder) / "one.kp").write_text("print(1)\n")
        (Path(folder) / "zzcommand").write_text("#!/bin/sh\n")
        (Path(folder) / "zzcommand").chmod(0o755)
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", HOME=folder, LC_ALL="C")
        done = subprocess.run([*program, text], capture_output=True, text=True, cwd=folder, env=environment, timeout=60,
                              check=False)
        return done.stdout.split() + done.stderr.split()
    finally:
        shutil.rmtree(folder)


ANSWERS = "probe:/lib/x.so:get probe:/lib/x.so:C::go sdt:/lib/x.so:std:catch"  # a file is answered by its path
TYPED = ["probe:x.so:get", "probe:./x.so:C::go", "sdt:x.so:catch"]


def bash_inserts(ktap):
    """What bash puts into the line, where it might quote: `=` of an option it must not, a blank of a file it must."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.realpath(ktap), Path(folder) / "ktap")
        (Path(folder) / "a blank.kp").write_text("")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], dict(os.environ, TERM="dumb", LC_ALL="C"))
        try:
            seen = ""
            for keys, wanted in ((f"source {ROOT}/completion/ktap.bash; echo rea''dy\n", "ready"),
                                 ("./ktap --plac\t", "./ktap --placement="), ("u\t", "./ktap --placement=user "),
                                 ("a\t", "--placement=user a\\ blank.kp ")):
                os.write(terminal, keys.encode())
                until = time.monotonic() + 20
                while wanted not in seen:
                    if not select.select([terminal], [], [], max(0, until - time.monotonic()))[0]:
                        return f"bash: no {wanted!r} in {seen[-200:]!r}"
                    seen += os.read(terminal, 4096).decode()
            return ""
        finally:
            os.kill(pid, signal.SIGKILL)
            os.close(terminal)
            os.waitpid(pid, 0)


def bash_completes(ktap):
    """What bash offers for lines; the word of an event is broken at its colon."""
    ask = f"""source {ROOT}/completion/ktap.bash
      ask() {{ COMP_LINE=$1 COMP_POINT=${{#1}}; local line=${{1//:/ : }}; COMP_WORDS=(${{line//=/ = }})
        [[ $1 == *[[:space:]] ]] && COMP_WORDS+=(''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); _ktap
        echo "$1>${{COMPREPLY[*]}}" | tr ' ' _; }}
      ask 'ktap --plac'; ask 'ktap --placement=u'; ask 'ktap --dump=s'; ask 'ktap list software:page'; ask 'ktap '
      ask 'ktap -s software:major'; ask 'ktap -q list software:page'; ask 'ktap --diagnostics=json -v doc'
      ask 'ktap x.kp -- zzc'; ask 'ktap top -q -e 1 -- zzc'; ask 'ktap -e 1 -- zzcommand -x on'; ask 'ktap fmt --'
      ask 'ktap one.kp -'; ask 'ktap one.kp zz'; ask 'ktap -e 1 zz'; ask 'ktap -e 1 --plac'; ask 'ktap -o one.kp --plac'
      ask 'ktap --engine=bpf one.kp --plac'; ask 'ktap -s software:x --plac'; ask 'ktap top '; ask 'ktap doctor -'
      _command_offset() {{ COMPREPLY=("offset $1"); }}; ask 'ktap -s software:x -- zz'
      ktap() {{ printf '%s\\n' 'probe:/x:$(echo ran)' 'probe:/x:f(char*)' 'probe:/y'; }}
      ask 'ktap list probe:/x:'; ask "ktap list 'probe:/x:f"
      ktap() {{ printf '%s\\n' {ANSWERS}; }}
      ask 'ktap list probe:x.so:g'; ask 'ktap -s probe:./x.so:C::g'; ask 'ktap list sdt:x.so:ca'
      """
    found = set(shell(["bash", "-c"], ask, ktap))
    wanted = {"ktap_--plac>--placement=", "ktap_--placement=u>user", "ktap_--dump=s>ssa",
              "ktap_list_software:page>page-faults", "ktap_>one.kp_list_doctor_fmt_top",
              "ktap_-s_software:major>major-faults", "ktap_-q_list_software:page>page-faults",
              "ktap_--diagnostics=json_-v_doc>doctor", "ktap_list_probe:x.so:g>get", "ktap_-s_probe:./x.so:C::g>go",
              "ktap_list_sdt:x.so:ca>catch", "ktap_x.kp_--_zzc>zzcommand", "ktap_top_-q_-e_1_--_zzc>zzcommand",
              "ktap_-e_1_--_zzcommand_-x_on>one.kp", "ktap_fmt_-->--check_--diagnostics=json", "ktap_one.kp_->",
              "ktap_one.kp_zz>zzcommand", "ktap_-e_1_zz>zzcommand", "ktap_-e_1_--plac>--placement=",
              "ktap_-o_one.kp_--plac>--placement=", "ktap_--engine=bpf_one.kp_--plac>",
              "ktap_-s_software:x_--plac>--placement=", "ktap_top_>one.kp", "ktap_doctor_->--json",
              "ktap_-s_software:x_--_zz>offset_6",
              r"ktap_list_probe:/x:>\$\(echo\_ran\)_f\(char\*\)", "ktap_list_'probe:/x:f>probe:/x:f(char*)"}
    return "" if wanted <= found else f"bash: {sorted(wanted - found)} not in {sorted(found)}"


def zsh_completes(ktap):
    ask = f"""compdef() {{ }}; _arguments() {{ print -l -- ${{(M)@:#--follow*}} }}
      compadd() {{ print -l -- ${{(P)2}} }}
      words=(ktap x); CURRENT=2; service=ktap; source {ROOT}/completion/_ktap; PREFIX=software:page; _ktap_events
      ktap() {{ print -l {ANSWERS} }}
      PREFIX=probe:x.so:g; _ktap_events; PREFIX=probe:./x.so:C::g; _ktap_events; PREFIX=sdt:x.so:ca; _ktap_events
      _ktap_events() {{ echo an event }}; _arguments() {{ print -l -- arguments:${{words[1]}}:$CURRENT $@ }}
      words=(ktap -q -v list x); CURRENT=5; source {ROOT}/completion/_ktap
      _normal() {{ print -l -- normal:${{(j:_:)words}}:$CURRENT }}; _files() {{ print files }}
      ask() {{ words=($@); CURRENT=$#; print -n -- "${{(j:_:)@}}>"
        source {ROOT}/completion/_ktap | sed 's/^arguments:.*/arguments/;q' }}
      ask ktap x.kp -- ech; ask ktap -q top -e 'a b' -- cat on; ask ktap one.kp --plac; ask ktap -e 1 zz
      ask ktap -e 1 --plac; ask ktap -o one.kp --plac; ask ktap -e x"""
    found = shell(["zsh", "-fc"], ask, ktap)
    good = found[0].startswith("--follow") and \
        {"software:page-faults", *TYPED, "arguments:ktap:2", "1:event:_ktap_events", "ktap_x.kp_--_ech>normal:ech:1",
         "b_--_cat_on>normal:cat_on:2", "ktap_one.kp_--plac>files", "ktap_-e_1_zz>files", "ktap_-e_1_--plac>arguments",
         "ktap_-o_one.kp_--plac>arguments", "ktap_-e_x>arguments"} <= set(found)
    return "" if good else f"zsh: {found}"


def fish_completes(ktap):
    lines = {"ktap list software:page": "software:page-faults", "ktap --plac": "--placement",
             "ktap fmt --": "--check --diagnostics", "ktap doctor -": "--json", "ktap list -": "--json -v",
             "ktap x.kp -- zzc": "zzcommand", "ktap top -q -e 1 -- zzc": "zzcommand",
             "ktap -e 1 -- zzcommand on": "one.kp",
             "ktap one.kp -": "", "ktap one.kp zz": "zzcommand", "ktap -e 1 zz": "zzcommand", "ktap one.kp do": "",
             "ktap -e 1 --plac": "--placement", "ktap -o one.kp --plac": "--placement", "ktap do": "doctor"}
    ask = f"source {ROOT}/completion/ktap.fish\n"
    for line in lines:
        offers = f"complete -C '{line}' | string replace -r '\\t.*' '' | sort"
        ask += f"echo (string join _ -- '{line}>' ({offers}) | tr ' ' _)\n"
    ask += f"function ktap; printf '%s\\n' {ANSWERS}; end; complete -C 'ktap list probe:x.so:g'; " \
        "complete -C 'ktap -q list probe:./x.so:C::g'; complete -C 'ktap -s sdt:x.so:ca'"
    found = set(shell(["fish", "-Nc"], ask, ktap))
    wanted = {"_".join([line + ">", *offered.split()]).replace(" ", "_") for line, offered in lines.items()}
    wanted |= set(TYPED)
    return "" if wanted <= found else f"fish: {sorted(wanted - found)} not in {sorted(found)}"


def anchors(text):
    """The names that headings get: lower case, without signs, blanks as '-', a second one with a number."""
    seen, names = {}, set()
    for heading in re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", text)):
        name = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return names


def broken_links(pages):
    """Links within the tree whose file or heading is not there; `pages` is path → text."""
    broken = []
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", text)):
            name, _, anchor = target.partition("#")
            if "://" in name or name.startswith("mailto:"):
                continue
            other = (path.parent / name).resolve() if name else path
            if not other.exists():
                broken.append(f"{path.name}: no {target}")
            elif anchor and anchor not in anchors(pages.get(other) or other.read_text()):
                broken.append(f"{path.name}: no heading {target}")
    return broken


def link_pages():
    names = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md"), *ROOT.glob("editor/*.md")]
    return {path: path.read_text() for path in names}


VIM_SCRIPT = ('trace sched:sched_switch /pid != 1/ { t.pid = string.len("a") } # end\n'
              'trace probe:/usr/bin/bash:readline /uid == 0/ { }\ntick-10s { }\n')
VIM_WANTED = {(1, 1): "ktapTrace", (1, 7): "ktapEvent", (1, 27): "ktapVariable", (1, 34): "ktapNumber",
              (1, 41): "ktapMember", (1, 48): "ktapFunction", (1, 60): "ktapString", (1, 68): "ktapComment",
              (2, 7): "ktapEvent", (2, 33): "ktapEvent", (2, 37): "ktapVariable", (3, 1): "ktapTimer",
              (3, 7): "ktapTimer"}


def vim_colours():
    """The groups of the characters of a line."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(folder) / "a.kp", Path(folder) / "groups"
        script.write_text(VIM_SCRIPT)
        ask = "|".join(f'call add(g, synIDattr(synID({line}, {column}, 1), "name"))'
                       for line, column in VIM_WANTED)
        subprocess.run(["vim", "-Nu", "NONE", "-i", "NONE", "-es", "-c", "syntax on", "-c",
                        f"source {ROOT}/editor/vim/syntax/ktap.vim", "-c", "let g=[]", "-c", ask, "-c",
                        f"call writefile(g, '{out}')", "-c", "qa!", script], check=False, timeout=60,
                       stdin=subprocess.DEVNULL, capture_output=True)
        found = out.read_text().split("\n")[:-1] if out.exists() else []
    return "" if found == list(VIM_WANTED.values()) else f"vim: {found}"


def self_test(ktap, report):
    """Each check finds what is taken away."""
    texts = option_texts()
    for where in texts:
        less = {where: re.sub(r"--?\bfollow\b", "--fellow", texts[where])}
        report.run_named(f"self-test: {where} without --follow", bool(missing_options(options(ktap), less)))
    grammar = json.loads(read("editor/vscode/syntaxes/ktap.tmLanguage.json"))
    vim = read("editor/vim/syntax/ktap.vim").replace(" continue", " proceed").replace("quantile", "")
    report.run_named("self-test: vim", len(missing_words(vim, grammar)) == 2)
    less = json.loads(json.dumps(grammar).replace("continue|", "").replace("user_string|", ""))
    report.run_named("self-test: vscode", len(missing_words(read("editor/vim/syntax/ktap.vim"), less)) == 2)


def self_test_links(report):
    pages = link_pages()
    page = ROOT / "docs" / "faq.md"
    for name, more in {"file": "[x](nowhere.md)", "heading": "[x](language.md#nowhere)"}.items():
        report.run_named(f"self-test: link to no {name}", len(broken_links({page: pages[page] + more})) == 1)


class Named(Report):
    def run_named(self, case, good, text=""):
        self.ok(case) if good else self.fail(case, text)

    def with_program(self, program, case, check, *arguments):
        if shutil.which(program):
            text = check(*arguments)
            self.run_named(case, not text, text)
        else:
            self.skip(case, f"no {program} here")


def main(arguments):
    ktap, man5 = os.path.realpath(arguments[0]), arguments[1]
    report = Named("manuals")
    self_test(ktap, report)
    self_test_links(report)
    broken = broken_links(link_pages())
    report.run_named("links of the documents", not broken, "\n".join(broken))
    lacks = missing_options(options(ktap), option_texts())
    report.run_named("every option", not lacks, "\n".join(lacks))
    grammar = json.loads(read("editor/vscode/syntaxes/ktap.tmLanguage.json"))
    lacks = missing_words(read("editor/vim/syntax/ktap.vim"), grammar)
    report.run_named("every word", not lacks, "\n".join(lacks))
    report.run_named("grammar", grammar_is_sound(grammar))
    for name in ("package.json", "language-configuration.json"):
        json.loads(read(f"editor/vscode/{name}"))
    pages = [ROOT / "man/ktap.1", ROOT / "man/ktapc.1"]
    if man5 == "none":
        report.skip("ktap-language.5", "no lowdown here")
    else:
        pages.append(Path(man5))
    for path in pages:
        report.with_program("man", path.name, man_warnings, str(path))
    report.with_program("bash", "bash", bash_completes, ktap)
    report.with_program("bash", "bash: what it inserts", bash_inserts, ktap)
    report.with_program("zsh", "zsh", zsh_completes, ktap)
    report.with_program("fish", "fish", fish_completes, ktap)
    report.with_program("vim", "vim", vim_colours)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
