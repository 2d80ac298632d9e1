#!/usr/bin/env python3
"""ktap-language(5) out of docs/language.md (tools/man_page.py docs/language.md OUT): by lowdown, after tables have
become lists of terms, which a manual page can show, and links their text."""
import re
import subprocess
import sys
from pathlib import Path

HEAD = """# NAME

ktap-language - the language of ktap scripts

# DESCRIPTION
"""
FOOT = """
# SEE ALSO

ktap(1), ktapc(1)
"""


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def terms(rows):
    """A table as a list of its first cells, each with the others; `rows` are its lines."""
    names, lines = cells(rows[0]), []
    for row in rows[2:]:
        first, *others = (cell.replace("\\|", "|") for cell in cells(row))
        said = [f"{name}: {other}" if number and name else other
                for number, (name, other) in enumerate(zip(names[1:], others)) if other]
        lines += [first, f": {'. '.join(part.rstrip('.') for part in said) or ' '}", ""]
    return lines


def without_tables(text):
    lines, rows = [], []
    for line in text.split("\n") + [""]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            lines += terms(rows)
            rows = []
        lines.append(line)
    return "\n".join(lines)


def page(text):
    text = re.sub(r"\A# .*\n", HEAD, text)
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", without_tables(text)) + FOOT
    done = subprocess.run(["lowdown", "-s", "-Tman"], input=text, capture_output=True, text=True, check=True)
    title = '.TH KTAP-LANGUAGE 5 2026 ktap "File Formats"'
    roff = re.sub(r"(?m)^\.TH .*$", title, done.stdout, count=1)
    # Nothing is stretched for words that cannot be broken, such as event texts.
    return roff.replace(title, title + "\n.ad l\n.nh", 1)


def main(arguments):
    source, out = map(Path, arguments)
    out.write_text(page(source.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
