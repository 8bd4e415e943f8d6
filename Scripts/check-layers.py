#!/usr/bin/env python3
"""Checks that each folder of the library uses only folders above it in the lists of Documentation/Architecture.md: one for
the library, and one for the folders of GroupConsumer/, whose own files are the public API and may use all of them.

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

ROOT = "Sources/RedisStreams"
ORDER = "Documentation/Architecture.md"
DECLARATION = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private|final|indirect|nonisolated)\s+)*"
    r"(?:struct|class|enum|actor|protocol|typealias)\s+(\w+)",
    re.M,
)
# A table of folders, with their parent in its header, and its rows: "| `RESP/` | what it is |".
TABLE = re.compile(r"^\| folder of `(Sources/RedisStreams[\w/]*)` \|.*\n(?:\|.*\n)*", re.M)
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
        tables = [(table.group(1), ROW.findall(table.group())) for table in TABLE.finditer(file.read())]
    if not tables:
        return [f"There is no list of folders in {ORDER}."]
    return [violation for parent, order in tables for violation in wrong_uses(checkout, parent, order)]


def wrong_uses(checkout, parent, order):
    """The uses of folders below, among the folders of `parent`, and what is in no listed folder."""
    files = read(os.path.join(checkout, parent))
    found = []
    for path in sorted(files):
        # Only the library itself has no files beside its folders.
        if "/" not in path and parent != ROOT:
            continue
        if path.split("/")[0] not in order:
            found.append(f"{parent}/{path}: its folder is not in the list of {ORDER}")
    for folder in order:
        if not any(path.startswith(folder + "/") for path in files):
            found.append(f"{ORDER} lists {folder}/ of {parent}, which has no code")
    if found:
        return found

    owners = collections.defaultdict(set)
    for path, text in files.items():
        for name in DECLARATION.findall(text):
            owners[name].add(path)
    owners = {name: next(iter(paths)) for name, paths in owners.items() if len(paths) == 1}
    for path in sorted(path for path in files if "/" in path):
        folder = path.split("/")[0]
        for name in sorted(set(re.findall(r"\b[A-Z]\w+\b", files[path]))):
            owner = owners.get(name)
            if owner is None or "/" not in owner:
                continue
            used = owner.split("/")[0]
            if order.index(used) > order.index(folder):
                found.append(f"{parent}/{path}: uses {name} of {used}/, which is below {folder}/")
    return found


def self_test():
    """Small checkouts: a correct one, one with a wrong use, one that names a type only in a comment and a string, one with a
    folder that is not listed, and one with a wrong use among the folders of a folder."""
    table = (
        "| folder of `Sources/RedisStreams` | |\n|---|---|\n| `Low/` | |\n| `High/` | |\n"
        "\n| another table | |\n|---|---|\n| `Else/` | |\n"
        "\n| folder of `Sources/RedisStreams/High` | |\n|---|---|\n| `First/` | |\n| `Second/` | |\n"
    )
    right = {
        "Low/Value.swift": "struct Value {}",
        "High/Engine.swift": 'struct Engine { var value: Value; var part: Part } // "Value"',
        "High/First/Part.swift": "struct Part {}",
        "High/Second/Whole.swift": "struct Whole { var part: Part }",
    }
    cases = [
        (right, 0),
        ({**right, "Low/Value.swift": "struct Value { var engine: Engine? }"}, 1),
        ({**right, "Low/Value.swift": 'struct Value { /// Engine\n let text = "Engine" }'}, 0),
        ({**right, "Other/More.swift": "struct More {}"}, 1),
        ({**right, "High/First/Part.swift": "struct Part { var whole: Whole? }"}, 1),
    ]
    for files, expected in cases:
        with tempfile.TemporaryDirectory() as checkout:
            for path, text in [(ORDER, table)] + [(f"{ROOT}/{path}", text) for path, text in files.items()]:
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
