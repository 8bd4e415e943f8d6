#!/usr/bin/env python3
"""Checks that each folder of the library uses only folders above it in the list of Documentation/Architecture.md.

Usage: check-layers.py [CHECKOUT]
       check-layers.py --self-test

A folder uses another one if its code names a type that is declared there. A name that several files declare is
ambiguous, and is left out. Exits with 1 and lists each use of a folder below.
"""

import collections
import os
import re
import sys
import tempfile

SOURCES = "Sources/RedisStreams"
ORDER = "Documentation/Architecture.md"
DECLARATION = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private|final|indirect|nonisolated)\s+)*"
    r"(?:struct|class|enum|actor|protocol|typealias)\s+(\w+)",
    re.M,
)
# The table of the folders, by its header, and its rows: "| `RESP/` | what it is |".
TABLE = re.compile(r"^\| folder of `Sources/RedisStreams` \|.*\n(?:\|.*\n)*", re.M)
ROW = re.compile(r"^\| `(\w+)/` +\|", re.M)


def code(text):
    """The text without comments and string literals."""
    text = re.sub(r'"""(?:.|\n)*?"""', '""', text)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def read(base):
    files = {}
    for folder, _, names in os.walk(base):
        for name in names:
            if name.endswith(".swift"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    files[os.path.relpath(path, base)] = code(file.read())
    return files


def violations(checkout):
    with open(os.path.join(checkout, ORDER), encoding="utf-8") as file:
        table = TABLE.search(file.read())
    order = ROW.findall(table.group()) if table else []
    files = read(os.path.join(checkout, SOURCES))
    if not order or not files:
        return [f"There is no list of folders in {ORDER}, or no code in {SOURCES}."]
    found = []
    for path in sorted(files):
        folder = path.split("/")[0] if "/" in path else None
        if folder not in order:
            found.append(f"{SOURCES}/{path}: its folder is not in the list of {ORDER}")
    for folder in order:
        if not any(path.startswith(folder + "/") for path in files):
            found.append(f"{ORDER} lists {folder}/, which has no code")
    if found:
        return found

    owners = collections.defaultdict(set)
    for path, text in files.items():
        for name in DECLARATION.findall(text):
            owners[name].add(path)
    owners = {name: next(iter(paths)) for name, paths in owners.items() if len(paths) == 1}
    for path in sorted(files):
        folder = path.split("/")[0]
        for name in sorted(set(re.findall(r"\b[A-Z]\w+\b", files[path]))):
            owner = owners.get(name)
            if owner is None:
                continue
            used = owner.split("/")[0]
            if order.index(used) > order.index(folder):
                found.append(f"{SOURCES}/{path}: uses {name} of {used}/, which is below {folder}/")
    return found


def self_test():
    """Four small checkouts: a correct one, one with a wrong use, one that names a type only in a comment and a string,
    and one with a folder that is not listed."""
    table = (
        "| folder of `Sources/RedisStreams` | |\n|---|---|\n| `Low/` | |\n| `High/` | |\n"
        "\n| another table | |\n|---|---|\n| `Inside/` | |\n"
    )
    right = {"Low/Value.swift": "struct Value {}", "High/Engine.swift": 'struct Engine { var value: Value } // "Value"'}
    cases = [
        (right, 0),
        ({**right, "Low/Value.swift": "struct Value { var engine: Engine? }"}, 1),
        ({**right, "Low/Value.swift": 'struct Value { /// Engine\n let text = "Engine" }'}, 0),
        ({**right, "Other/More.swift": "struct More {}"}, 1),
    ]
    for files, expected in cases:
        with tempfile.TemporaryDirectory() as checkout:
            for path, text in [(ORDER, table)] + [(f"{SOURCES}/{path}", text) for path, text in files.items()]:
                os.makedirs(os.path.dirname(os.path.join(checkout, path)), exist_ok=True)
                with open(os.path.join(checkout, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = violations(checkout)
            if len(found) != expected:
                return f"expected {expected} violations in {files}, found {found}"
    return None


def main(arguments):
    if arguments == ["--self-test"]:
        failure = self_test()
        if failure:
            print(f"error: {failure}", file=sys.stderr)
        return 1 if failure else 0
    found = violations(arguments[0] if arguments else ".")
    for violation in found:
        print(f"error: {violation}", file=sys.stderr)
    return 1 if found else 0


sys.exit(main(sys.argv[1:]))
