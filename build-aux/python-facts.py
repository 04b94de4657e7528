# SPDX-License-Identifier: BSD-3-Clause
"""What configure asks a Python interpreter about itself.

    facts               PATH|X.Y|FOLDERS OF HEADERS, or no: and why pxrun cannot be built for it
    packages PREFIX     where below PREFIX it looks for packages, relative

Python 2 must be able to read this, to be refused.
"""
import os
import sys
import sysconfig


def reason():
    """Why not; None if it will do."""
    if sys.version_info < (3, 11):
        return "it is %d.%d, and pxrun needs 3.11 or newer" % sys.version_info[:2]
    if sys.implementation.name != "cpython":
        return "it is %s, and pxrun needs CPython" % sys.implementation.name
    if "t" in sys.abiflags:
        return "it is a free-threaded build, which has no limited API: take one with the usual build"
    if len(sys.executable.encode()) > 250 or set(" \t'\"|\\&") & set(sys.executable):
        return "its path is too long for a script's first line, or has spaces or quotes in it: make a symbolic link to it"
    return None


def facts():
    why = reason()
    if why:
        return "no:" + why
    # In a virtual environment these are those of the interpreter below it.
    folders = dict.fromkeys(sysconfig.get_config_var(name) for name in ("INCLUDEPY", "CONFINCLUDEPY"))
    return "|".join((sys.executable, "%d.%d" % sys.version_info[:2], " ".join(folders)))


def packages(prefix):
    import site

    # The interpreter's own answer comes first: Debian's looks into dist-packages, and into
    # different ones for /usr and /usr/local.
    for folder in site.getsitepackages():
        relative = os.path.relpath(folder, prefix)
        if relative.startswith("lib"):
            return relative
    scheme = "posix_venv" if "posix_venv" in sysconfig.get_scheme_names() else "posix_prefix"
    folder = sysconfig.get_path("platlib", scheme, vars={"base": prefix, "platbase": prefix})
    return os.path.relpath(folder, prefix)


print(globals()[sys.argv[1]](*sys.argv[2:]))
