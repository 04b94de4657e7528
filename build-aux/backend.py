# SPDX-License-Identifier: BSD-3-Clause
"""What pip and build call (PEP 517, PEP 660): a wheel and an sdist over configure and make.

A wheel holds the package and, as its data, the command, the C library with header and pkg-config
file, and the manual pages. liburing, libyaml and ncurses are linked into the programs if their static
libraries can be, so that the files need nothing but the C library, and can be moved.
"""
from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys

if sys.version_info < (3, 11):
    sys.exit("pxrun needs Python 3.11 or newer, and %s is %d.%d" % ((sys.executable,) + sys.version_info[:2]))

import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Iterator

TOP = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
NAME = PROJECT["name"].replace("-", "_")
VERSION = re.search(r"AC_INIT\(\[pxrun\], \[([^]]+)\]", (TOP / "configure.ac").read_text())[1]  # type: ignore[index]
DATE = int(os.environ.get("SOURCE_DATE_EPOCH", 0)) or max(int(time.time()), 315532800)  # of zip, 1980 at least

#: Where each of the files that make installs goes to; the rest is the package.
PLACES = {"bin": "scripts", "include": "data/include", "lib": "data/lib", "share": "data/share"}


# --- building ---------------------------------------------------------------


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(done.stdout[-20000:])
        raise SystemExit(f"pxrun: this failed: {' '.join(command)}")


def _is_stale(configure: Path) -> bool:
    """Whether configure, or what it fills in, has to be made anew: in a checkout, after its sources have changed."""
    if not configure.exists():
        return True
    sources = [TOP / "configure.ac", TOP / "Makefile.am", *TOP.glob("m4/px_*.m4"), *TOP.glob("*/Makefile.inc"), *TOP.glob("lib/*/Makefile.inc")]
    made = min(configure.stat().st_mtime, (TOP / "Makefile.in").stat().st_mtime)
    return (TOP / ".git").exists() and any(path.stat().st_mtime > made for path in sources)


def _configured(folder: Path, python: str, *options: str) -> Path:
    """A build tree in that folder, for that interpreter."""
    if _is_stale(TOP / "configure"):
        with _needs("autoconf, automake, libtool and pkg-config"):
            _run("autoreconf", "-fi", cwd=TOP)
    folder.mkdir(parents=True, exist_ok=True)
    with _needs("make and a C compiler"):
        _run("make", "--version", cwd=folder)
    _run(str(TOP / "configure"), "-q", f"PYTHON={python}", *options, cwd=folder)
    return folder


def _own(folder: Path) -> str:
    """This interpreter by a path without blanks, which configure wants; wheels have no trace of it."""
    link = folder / "python"
    link.symlink_to(getattr(sys, "_base_executable", sys.executable))
    return str(link)


@contextlib.contextmanager
def _needs(packages: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as e:
        raise SystemExit(f"pxrun: {e.filename} is missing: install {packages}") from None


def _make(folder: Path, *targets: str) -> None:
    with _needs("make and a C compiler"):
        _run("make", f"-j{len(os.sched_getaffinity(0))}", *targets, cwd=folder)


def _static(folder: Path) -> list[str]:
    """What has configure link those static libraries that can be linked into what may lie anywhere in memory."""
    options = []
    for name, header, symbol, kind, flag in (
        ("uring", "liburing.h", "io_uring_queue_init", "-shared", "-l:liburing.a"),
        ("yaml", "yaml.h", "yaml_parser_initialize", "-shared", "-l:libyaml.a"),
        # the command's alone
        ("curses", "curses.h", "newterm", "-pie", "-l:libncursesw.a -l:libtinfo.a"),
    ):
        code = folder / "probe.c"
        code.write_text(f"#include <{header}>\nint main(void) {{ return (void *){symbol} == 0; }}\n")
        command = [os.environ.get("CC", "cc"), kind, "-fPIC", "-o", "probe.so", "probe.c", *flag.split(), "-Wl,--no-undefined"]
        with _needs("a C compiler"):
            linked = subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
        if linked:
            # the other half of the answer, so that pkg-config is not asked
            options += [f"{name.upper()}_LIBS={flag}", f"{name.upper()}_CFLAGS= "]
    return options


# --- wheels -----------------------------------------------------------------


def _metadata() -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {PROJECT['name']}",
        f"Version: {VERSION}",
        f"Summary: {PROJECT['description']}",
        f"Requires-Python: {PROJECT['requires-python']}",
        f"License-Expression: {PROJECT['license']}",
        "License-File: COPYING",
        *(f"Classifier: {words}" for words in PROJECT["classifiers"]),
        *(f"Requires-Dist: {need}" for need in PROJECT["dependencies"]),
    ]
    for extra, needs in PROJECT["optional-dependencies"].items():
        lines += [f"Provides-Extra: {extra}", *(f'Requires-Dist: {need}; extra == "{extra}"' for need in needs)]
    return "\n".join([*lines, "Description-Content-Type: text/plain", "", (TOP / PROJECT["readme"]).read_text()])


def _tag() -> str:
    return f"cp311-abi3-linux_{os.uname().machine}"


class _Wheel:
    """A wheel that is being written."""

    def __init__(self, folder: str, tag: str) -> None:
        self.name = f"{NAME}-{VERSION}-{tag}.whl"
        self.info = f"{NAME}-{VERSION}.dist-info"
        self.data = f"{NAME}-{VERSION}.data"
        self._zip = zipfile.ZipFile(Path(folder, self.name), "w", zipfile.ZIP_DEFLATED, compresslevel=9)
        self._record: list[str] = []
        self._tag = tag

    def add(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        content = content.encode() if isinstance(content, str) else content
        entry = zipfile.ZipInfo(path, time.gmtime(DATE)[:6])
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(entry, content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self._record.append(f"{path},sha256={digest},{len(content)}\n")

    def add_file(self, path: str, file: Path) -> None:
        self.add(path, file.read_bytes(), 0o755 if os.access(file, os.X_OK) else 0o644)

    def close(self) -> None:
        scripts = "".join(f"{name} = {what}\n" for name, what in PROJECT["scripts"].items())
        self.add(f"{self.info}/METADATA", _metadata())
        self.add(f"{self.info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: pxrun\nRoot-Is-Purelib: false\nTag: {self._tag}\n")
        self.add(f"{self.info}/entry_points.txt", f"[console_scripts]\n{scripts}")
        self.add_file(f"{self.info}/licenses/COPYING", TOP / "COPYING")
        record = f"{self.info}/RECORD"
        self.add(record, "".join([*self._record, f"{record},,\n"]))
        self._zip.close()


def _relocatable(pkg_config: str) -> str:
    """A pkg-config file that goes by its own place, and says nothing of this build."""
    text = re.sub("(?m)^prefix=.*", "prefix=${pcfiledir}/../..", pkg_config)
    return re.sub("(?m)^(python|pythondir|bindir|Requires.private|Libs.private)[=:].*\n", "", text)


def _add_installed(wheel: _Wheel, root: Path) -> None:
    """What `make install` put into a root, whose package is in root/package."""
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        place, _, rest = file.relative_to(root).as_posix().partition("/")
        to = f"{wheel.data}/{PLACES.get(place)}/{rest}"
        if place == "package":
            wheel.add_file(rest, file)
        elif file.suffix == ".pc":
            wheel.add(to, _relocatable(file.read_text()))
        elif file.suffix == ".so":
            # a link, which wheels have not; the linker reads this in its stead
            wheel.add(to, f"INPUT({file.name}.0)\n")
        elif not re.search(r"\.la$|\.so\.0\.0\.0$|/pxrun-engine$|/share/pxrun/env$|/pxrun@\.service$", to):
            wheel.add_file(to, file)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory(prefix="pxrun-wheel-") as name:
        build, stage = Path(name, "build"), Path(name, "stage")
        build.mkdir()
        flags = os.environ.get("CFLAGS", "-O2")
        _configured(build, _own(Path(name)), "--prefix=/pxrun", "--with-pythondir=/pxrun/package", "--disable-maintainer-mode",
                    f"CFLAGS={flags}", "FC=no", *_static(build))
        _make(build, "-s", "all")
        _make(build, "-s", "install-strip", f"DESTDIR={stage}")
        for folder in stage.rglob("__pycache__"):
            for file in folder.iterdir():
                file.unlink()
        wheel = _Wheel(wheel_directory, _tag())
        _add_installed(wheel, stage / "pxrun")
        wheel.close()
    return wheel.name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """The package stays here: files of Python are links to the sources, those of C follow `make -C build/editable`."""
    build = _configured(TOP / "build" / "editable", sys.executable)
    _make(build, "all")
    wheel = _Wheel(wheel_directory, _tag())
    wheel.add(f"{NAME}.pth", f"{build}/lib/python\n")
    wheel.add_file(f"{wheel.data}/scripts/pxrun", build / "bin" / "pxrun")
    wheel.close()
    return wheel.name


# --- sdists -----------------------------------------------------------------


def build_sdist(sdist_directory, config_settings=None):
    root = f"{NAME}-{VERSION}"
    with tempfile.TemporaryDirectory(prefix="pxrun-sdist-") as name:
        build = _configured(Path(name), _own(Path(name)))
        _make(build, "-s", "distdir", f"distdir={root}")
        (build / root / "PKG-INFO").write_text(_metadata())
        with (
            open(Path(sdist_directory, f"{root}.tar.gz"), "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=DATE) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(path for path in (build / root).rglob("*") if path.is_file()):
                entry = tar.gettarinfo(path, path.relative_to(build).as_posix())
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                entry.mtime = int(path.stat().st_mtime)
                tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return f"{root}.tar.gz"
