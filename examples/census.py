# SPDX-License-Identifier: BSD-3-Clause
"""Takes a census of Python's standard library with four engines.

Each module is parsed and measured: its lines, classes and functions, its longest
function, its branches. The files are scattered over the engines, which measure
their share, and the rows are gathered. Then the same is done without engines, and
compared.

    python census.py [--quick]
    pxrun run -n 4 census.py [--quick]
"""

import argparse
import ast
import os
import pathlib
import sys
import sysconfig
import time
import warnings

import pxrun

LEFT_OUT = {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}


def measure(path):
    """Parses one module; returns (lines, classes, functions, branches, (longest, its name))."""
    with open(path, "rb") as file:
        source = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignore warnings about old escape sequences
        tree = ast.parse(source, path)
    branching = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.BoolOp,
                 ast.comprehension, ast.match_case)
    classes = functions = branches = 0
    longest = (0, "")
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions += 1
            longest = max(longest, (node.end_lineno - node.lineno + 1, node.name))
        elif isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, branching):
            branches += 1
    return source.count(b"\n"), classes, functions, branches, longest


def find_modules():
    """Every .py file of the standard library but its tests, as paths below its folder."""
    stdlib = pathlib.Path(sysconfig.get_path("stdlib"))
    found = (path.relative_to(stdlib) for path in stdlib.rglob("*.py"))
    return stdlib, sorted(path for path in found if not LEFT_OUT & set(path.parts))


def deal(paths, hands):
    """Orders paths so that equal consecutive parts take equally long.

    They are dealt out in turn, the largest file first.
    """
    by_size = sorted(paths, key=os.path.getsize, reverse=True)
    return [path for hand in range(hands) for path in by_size[hand::hands]]


def census(rc, paths):
    """Measures on all engines; returns a row for each path."""
    view = rc[:]
    view.execute("import ast, warnings", block=True)
    view.push({"measure": measure}, block=True)
    view.scatter("paths", paths, block=True)
    view.execute("rows = [measure(path) for path in paths]", block=True)
    return view.gather("rows", block=True)


def by_package(stdlib, paths, rows):
    """Adds up the rows of each package or top-level module."""
    packages = {}
    for path, row in zip(paths, rows):
        name = pathlib.Path(path).relative_to(stdlib).parts[0].removesuffix(".py")
        modules, *sums, longest = packages.get(name, (0, 0, 0, 0, 0, (0, "")))
        sums = [a + b for a, b in zip(sums, row)]
        packages[name] = (modules + 1, *sums, max(longest, row[-1]))
    return packages


def print_table(packages, shown):
    """Prints the largest packages, and the sum of all."""
    line = "{:<16}{:>8}{:>9}{:>9}{:>11}{:>10}   {}".format
    print(line("package", "modules", "lines", "classes", "functions", "branches",
               "longest function"))
    largest = sorted(packages.items(), key=lambda item: item[1][1], reverse=True)
    for name, (*numbers, longest) in largest[:shown]:
        print(line(name, *numbers, "{1}, {0} lines".format(*longest) if longest[0] else "-"))
    if len(largest) > shown:
        print(line(f"and {len(largest) - shown} more", *[""] * 6).rstrip())
    sums = [sum(column) for column in list(zip(*packages.values()))[:-1]]
    longest = max(row[-1] for row in packages.values())
    print(line("all", *sums, f"{longest[1]}, {longest[0]} lines"))


def connect():
    """The pool of `pxrun run`, else one of our own; either is left by `with`."""
    return pxrun.Client() if "PXRUN_CONNECTION" in os.environ else pxrun.Cluster(n=4)


def main():
    parser = argparse.ArgumentParser(description="A census of Python's standard library.")
    parser.add_argument("--quick", action="store_true", help="only every eighth module")
    options = parser.parse_args()

    stdlib, paths = find_modules()
    if options.quick:
        paths = paths[::8]
    with connect() as rc:
        paths = deal([str(stdlib / path) for path in paths], len(rc.ids))
        begin = time.perf_counter()
        rows = census(rc, paths)
        with_engines = time.perf_counter() - begin
        engines = len(rc.ids)

    begin = time.perf_counter()
    serial_rows = [measure(path) for path in paths]
    serial = time.perf_counter() - begin

    print_table(by_package(stdlib, paths, rows), shown=15)
    print(f"\n{len(paths)} modules: {engines} engines {with_engines:.2f} s, "
          f"one process {serial:.2f} s: {serial / with_engines:.1f} times as fast "
          f"on {len(os.sched_getaffinity(0))} processors")
    if rows != serial_rows:
        sys.exit("census.py: the engines and the serial run do not agree")
    print("The engines and the serial run agree.")


if __name__ == "__main__":
    main()
