#!/usr/bin/env python3
"""House style that a machine can check; what clang-format and the compiler see is left to them.

For code: opens with a comment, at most 800 lines, functions of at most 70 lines, 100 columns, no tabs, no blanks
at line ends, no notes-to-self, snake_case file names, #pragma once. For src/: a README.md of at most 40 lines in
each folder; .def tables in order; every diagnostic shown by a golden case.
Usage: check_tidy.py [ROOT]; check_tidy.py --self-test.
"""
import ast
import re
import sys
import tempfile
from pathlib import Path

MAX_LINES = 800
MAX_COLUMNS = 100
COLUMNS = {".def": 160, ".py": 120, ".txt": 120, ".kp": 120, ".css": 120, ".js": 120,
           "": 120}  # rows of tables are one line each
MAX_FUNCTION_LINES = 70
MAX_README_LINES = 40
CPP = {".h", ".cc", ".c", ".def"}
PLACES = ("src", "tests", "tools", "fuzz", "bench", "scripts", ".ci")
NOTE_TO_SELF = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

# Functions that may be longer, each with its reason.
LONG_FUNCTIONS = {
    ("src/vm/interpreter.cc", "run"): "the dispatch loop: one case an opcode, registers of the loop stay local",
}

# Diagnostics that no golden case can show, each with its reason.
NOT_SHOWN = {
    "EventPartlySeen": "depends on the C library and the processor",
    "EventUnavailable": "needs a kernel that refuses a plain capture program",
    "UnprovedPlace": "needs a stripped program of known addresses",
}


def code_files(root):
    for place in PLACES:
        for path in sorted((root / place).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not is_data(path.relative_to(root)):
                yield path


def is_data(relative):
    """Golden and kernel cases hold what ktap prints and what it must refuse: no style applies."""
    return relative.parts[:2] in (("tests", "golden"), ("tests", "kernel")) and relative.suffix in (".kp", ".case") \
        or relative.parts[:2] == ("scripts", "seeds") or relative.parts[:2] == ("fuzz", "corpus")


# ---- functions of C and C++: in formatted code a definition's `{` ends a line and its `}` stands in its column ----

CONTROL = re.compile(r"^(if|else|for|while|do|switch|case|default|try|catch|return|namespace|class|struct|union|enum"
                     r"|extern|typedef|using|template\s*<[^()]*>\s*(class|struct))\b")
NAME = re.compile(r"([\w~]+|operator\W{1,3})\s*\($")


def function_name(head):
    """The name before the first parenthesis of a definition's head, or None when it defines no function."""
    head = re.sub(r"^(template <.*?>\s*)+", "", head.strip())
    if CONTROL.match(head) or "(" not in head or re.search(r"=\s*(\[|\{)?\s*$", head.split("(")[0]):
        return None
    match = NAME.search(head[:head.index("(") + 1])
    return match.group(1) if match else None


def long_functions(lines):
    """(first line number, name, lines) of every outermost function that is too long."""
    found, index = [], 0
    while index < len(lines):
        line = lines[index]
        if not line.rstrip().endswith("{") or line.lstrip().startswith(("//", "*", "#", "}")):
            index += 1
            continue
        first = index
        while first > 0 and not re.search(r"[;{}:]\s*(//.*)?$", lines[first - 1]) and \
                lines[first - 1].strip() and not lines[first - 1].lstrip().startswith(("//", "#")):
            first -= 1
        name = function_name(" ".join(text.strip() for text in lines[first:index + 1]))
        if name is None:
            index += 1
            continue
        indent = len(lines[first]) - len(lines[first].lstrip())
        end = next((i for i in range(index + 1, len(lines)) if re.match(rf" {{{indent}}}\}}", lines[i])), index)
        if end - first + 1 > MAX_FUNCTION_LINES:
            found.append((first + 1, name, end - first + 1))
        index = end + 1
    return found


def long_python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES:
            yield node.lineno, node.name, node.end_lineno - node.lineno + 1


# ---- one file ---------------------------------------------------------------------------------------------------


def opens_with_comment(path, lines):
    if path.suffix in CPP or path.suffix in (".css", ".js"):
        return lines[0].startswith(("// ", "/* "))
    if path.suffix == ".lua":
        return lines[0].startswith("-- ")
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    return first.startswith(("# ", '"""')) or path.suffix == ".json"


def check_lines(lines, longest):
    for number, line in enumerate(lines, 1):
        if len(line) > longest:
            yield number, f"{len(line)} columns, at most {longest}"
        if "\t" in line:
            yield number, "a tab"
        if line != line.rstrip():
            yield number, "blanks at the end"
        if NOTE_TO_SELF.search(line):
            yield number, "a note to self: do it or name it in an issue"


def check_functions(path, where, lines):
    if path.suffix in (".h", ".cc", ".c"):
        functions = long_functions(lines)
    elif path.suffix == ".py":
        functions = long_python_functions("\n".join(lines))
    else:
        return
    for number, name, length in functions:
        if (where, name) not in LONG_FUNCTIONS:
            yield number, f"function {name} has {length} lines, at most {MAX_FUNCTION_LINES}"


def check_file(path, root):
    where = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.removesuffix("\n").split("\n")
    if path.suffix == ".md":
        return [f"{where}:{n}: {t}" for n, t in check_lines(lines, 10000) if "tab" not in t]
    problems = []
    if not re.fullmatch(r"[a-z0-9_]+(\.[a-z]+)?|CMakeLists\.txt", path.name):
        problems.append((1, "file name is not snake_case"))
    if not opens_with_comment(path, lines):
        problems.append((1, "does not open with a comment that says what it does"))
    if path.suffix == ".h" and "#pragma once" not in lines:
        problems.append((1, "header without #pragma once"))
    if len(lines) > MAX_LINES:
        problems.append((len(lines), f"{len(lines)} lines, at most {MAX_LINES}"))
    if text and not text.endswith("\n"):
        problems.append((len(lines), "no newline at the end"))
    problems += check_lines(lines, COLUMNS.get(path.suffix, MAX_COLUMNS))
    if path.suffix == ".kp":  # scripts are written in the users' style: tabs are theirs to choose
        problems = [problem for problem in problems if problem[1] != "a tab"]
    problems += check_functions(path, where, lines)
    return [f"{where}:{number}: {what}" for number, what in problems]


# ---- the tree ---------------------------------------------------------------------------------------------------


def check_readmes(root):
    for folder in sorted(path for path in (root / "src").iterdir() if path.is_dir() and any(path.iterdir())):
        readme = folder / "README.md"
        if not readme.is_file():
            yield f"src/{folder.name}: no README.md"
        elif len(readme.read_text().split("\n")) - 1 > MAX_README_LINES:
            yield f"src/{folder.name}/README.md: more than {MAX_README_LINES} lines"


def check_codes(root):
    """Diagnostics: numbers ascend, stand in their own section, and a golden case shows each."""
    table = root / "src/diag/codes.def"
    if not table.is_file():
        return
    shown = set()
    for path in (root / "tests/golden").glob("*/*.kp"):
        expected = [line for line in path.read_text(errors="replace").split("\n") if line.startswith("#!")]
        shown.update(re.findall(r"\[K(\d{4})\]", "\n".join(expected)))
    section, last = None, 0
    for number, line in enumerate(table.read_text().split("\n"), 1):
        if match := re.match(r"// -- (\d)xx", line):
            section = match.group(1)
        if match := re.match(r"\s*KTAP_DIAGNOSTIC\((\w+), (\d+),", line):
            name, code = match.group(1), int(match.group(2))
            if code <= last or str(code)[0] != section:
                yield f"src/diag/codes.def:{number}: {name} ({code}) is out of order or out of its section"
            last = max(last, code)
            if f"{code:04}" not in shown and name not in NOT_SHOWN:
                yield f"src/diag/codes.def:{number}: no case in tests/golden shows {name} (K{code:04})"


def check_tree(root):
    problems = []
    files = 0
    for path in code_files(root):
        files += 1
        problems += check_file(path, root)
    problems += check_readmes(root)
    problems += check_codes(root)
    for where, name in LONG_FUNCTIONS:
        if (root / where).is_file() and not re.search(rf"\b{name}\(", (root / where).read_text()):
            problems.append(f"check_tidy.py: {where} has no function {name} any more: take it off the list")
    if not files:
        problems.append("no code found: this check has checked nothing")
    return problems


# ---- self-test --------------------------------------------------------------------------------------------------

GOOD = {
    "src/base/README.md": "# base\n",
    "src/base/good.h": "// A header.\n#pragma once\n",
    "src/base/good.cc": "// Code.\nint f(int a,\n      int b) {\n" + "  a += b;\n" * 67 + "}\n",
    "src/diag/README.md": "# diag\n",
    "src/diag/codes.def": "// Codes.\n// -- 2xx parser\nKTAP_DIAGNOSTIC(A, 203, Error, \"a\")\n",
    "tests/golden/diag/a.kp": "x\t \n#---\n#! a.kp:1:1: error: a [K0203]\n",
    "tools/good.py": '#!/usr/bin/env python3\n"""A tool."""\n',
    "scripts/a.kp": "#!/usr/bin/env ktap\n# A script.\ntrace x {\n\tprint(1)\n}\n",
}
LONG_BODY = "  ++x;\n" * 70
BAD = {
    "comment": ("src/base/b.cc", "int x;\n", "does not open"),
    "pragma": ("src/base/b.h", "// B.\n", "pragma once"),
    "long file": ("src/base/b.cc", "// B.\n" + "int x;\n" * 800, "801 lines"),
    "long function": ("src/base/b.cc", "// B.\nvoid f() {\n" + LONG_BODY + "}\n", "function f has 72 lines"),
    "long method": ("src/base/b.cc", "// B.\nnamespace a {\nint C::g(int x) const {\n" + LONG_BODY + "}\n}\n",
                    "function g has 72 lines"),
    "long constructor": ("src/base/b.cc", "// B.\nC::C(int x)\n    : x_(x) {\n" + LONG_BODY + "}\n",
                         "function C has 73 lines"),
    "in a class": ("src/base/b.h", "// B.\n#pragma once\nclass C {\n public:\n  void h() {\n" + "    ++x;\n" * 70 +
                   "  }\n};\n", "function h has 72 lines"),
    "template": ("src/base/b.cc", "// B.\ntemplate <class T>\nT t(T x) {\n" + LONG_BODY + "}\n", "function t has 73"),
    "python function": ("tools/b.py", '"""B."""\ndef f():\n' + "    x = 1\n" * 70, "function f has 71 lines"),
    "columns": ("src/base/b.cc", "// " + "x" * 98 + "\n", "101 columns"),
    "tab": ("src/base/b.cc", "// B.\n\tint x;\n", "a tab"),
    "blanks": ("src/base/b.cc", "// B. \n", "blanks at the end"),
    "note": ("src/base/b.cc", "// B. TO" "DO: more\n", "note to self"),
    "name": ("src/base/Bad-Name.cc", "// B.\n", "snake_case"),
    "newline": ("src/base/b.cc", "// B.", "no newline"),
    "readme": ("src/syntax/s.cc", "// S.\n", "no README.md"),
    "long readme": ("src/base/README.md", "x\n" * 41, "more than 40"),
    "code not shown": ("src/diag/codes.def", "// C.\n// -- 2xx p\nKTAP_DIAGNOSTIC(B, 204, Error, \"b\")\n", "K0204"),
    "code order": ("src/diag/codes.def", "// C.\n// -- 3xx p\nKTAP_DIAGNOSTIC(A, 203, Error, \"b\")\n", "out of order"),
}


def self_test():
    failures = []
    for name, extra in [("good", None)] + list(BAD.items()):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            files = dict(GOOD)
            if extra:
                files[extra[0]] = extra[1]
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            problems = check_tree(root)
            if not extra and problems:
                failures.append(f"good tree: {problems}")
            if extra and not (len(problems) == 1 and extra[2] in problems[0]):
                failures.append(f"{name}: wanted one problem with '{extra[2]}', got {problems}")
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "src").mkdir()
        if not check_tree(Path(directory)):
            failures.append("an empty tree passes")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        problems = self_test()
    else:
        problems = check_tree(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve())
    for problem in problems:
        print(problem)
    print(f"tidy: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
