# SPDX-License-Identifier: BSD-3-Clause
"""What is written about error codes agrees with the table of them, shm/error_codes.h."""
from __future__ import annotations

import os
import re

import pytest

from pxrun import _pxrun, error

SOURCE = os.environ.get("PXRUN_SRCDIR", os.path.join(os.path.dirname(__file__), "..", ".."))
ROW = r'^\s*X\((E[A-Z]+), (-\d+), "[^"]+"\)'


def found(path, pattern):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return re.findall(pattern, file.read(), re.MULTILINE)


@pytest.fixture(scope="module")
def table():
    rows = {name: int(number) for name, number in found("shm/error_codes.h", ROW)}
    assert len(rows) > 10
    return rows


def test_extension_has_every_code(table):
    assert {name: getattr(_pxrun, name) for name in dir(_pxrun) if re.fullmatch("E[A-Z]+", name) and name in table} == table


def test_public_header_says_number_and_meaning(table):
    rows = found("lib/client/pxrun.h", r"^#define PX_(E[A-Z]+) \((-\d+)\) +/\* \S.* \*/$")
    assert {name: int(number) for name, number in rows} == table


@pytest.mark.parametrize("path, pattern", [
    ("man/px_errors.3", r"^\.It Dv PX_(E[A-Z]+)$"),
    ("lib/client/pxrun.f90", r"\bPX_(E[A-Z]+) = -\d+"),
    ("lib/python/pxrun/_pxrun.pyi", r"^(E[A-Z]+): int$"),
])
def test_names_are_listed(table, path, pattern):
    # request kinds of the stub begin with E as well
    assert sorted(set(found(path, pattern)) - {"EXECUTE"}) == sorted(table)


def test_exceptions_are_public_and_listed():
    import pxrun

    names = {name for name in error.__all__ if isinstance(getattr(error, name), type)}
    listed = [name for row in found("man/pxrun.7", r"^\.It Em ([A-Z].*)$") for name in row.split(" , ")]
    assert sorted(listed) == sorted(names) and names <= {*pxrun.__all__}
    assert all(getattr(pxrun, name) is getattr(error, name) for name in names)


def test_every_code_is_an_exception_of_its_own_or_is_never_raised(table):
    # an engine's exception, and what waiting is done for: neither is raised by its code
    assert {name for name in table if table[name] not in error._CLASSES} == {"EREMOTE", "EAGAIN", "EINTR"}
