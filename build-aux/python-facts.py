# SPDX-License-Identifier: BSD-3-Clause
"""What configure asks a Python interpreter about itself.

    version                         X.Y
    match VERSION LIBRARY PREFIX    yes:PATH, or no:and what this one is instead
    ldflags                         for a program that embeds a static libpython
    packages PREFIX                 where below PREFIX it looks for packages, relative
"""
import os
import site
import sys
import sysconfig


def version():
    return "%d.%d" % sys.version_info[:2]


def library():
    """The name that a linker is given: libpython3.11, whether shared or static."""
    name = sysconfig.get_config_var("LDLIBRARY") or ""
    return name.split(".so")[0].split(".a")[0]


def match(wanted_version, wanted_library, wanted_prefix):
    # In a virtual environment the library is that of the interpreter below it.
    prefix = os.path.realpath(sysconfig.get_config_var("installed_base"))
    headers = os.path.realpath(sysconfig.get_config_var("INCLUDEPY"))
    same = (
        version() == wanted_version
        and library() == wanted_library
        and prefix == os.path.realpath(wanted_prefix)
        and headers.startswith(prefix + os.sep)
    )
    if same:
        return "yes:" + sys.executable
    return "no:%s, %s in %s" % (version(), library(), prefix)


def ldflags():
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return ""
    return sysconfig.get_config_var("LINKFORSHARED") or ""


def packages(prefix):
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
