# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages of libpxrun: their programs run, and they know the functions of pxrun.h as those are declared."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

SOURCE = pathlib.Path(os.environ["PXRUN_SRCDIR"])
BUILD = pathlib.Path(os.environ["PXRUN_BUILDDIR"])
HEADERS = sorted((SOURCE / "lib/client").glob("pxrun*.h"))
PAGES = sorted((SOURCE / "man").glob("*.3"))
FAMILIES = [page for page in PAGES if page.stem.startswith("px_")]
LITERAL = r"\.Bd -literal -offset indent\n(.*?)\.Ed\n"


def by_name(paths):
    return pytest.mark.parametrize("page", paths, ids=lambda path: path.stem)


def declared():
    """Name to type and arguments of every function that a program sees."""
    found = {}
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        text = re.sub(r"\s+", " ", text)
        for kind, name, arguments in re.findall(
                r"(?:PX_PUBLIC(?: PX_CHECKED)?|static inline) ((?:const )?(?:struct |enum )?\w+ ?\*?) ?(px_\w+)\(([^)]*)\)[;{ ]", text):
            found[name] = kind.strip(), [argument.strip() for argument in arguments.split(",")]
    assert len(found) > 70
    return found


def synopsis(page):
    rows = re.findall(r"^\.Ft (.*)\n\.Fn (px_\w+) (.*)$", page.read_text(), re.M)
    return {name: (kind, re.findall(r'"([^"]*)"', arguments)) for kind, name, arguments in rows}


def test_each_function_is_in_one_page():
    pages = [synopsis(page) for page in FAMILIES]
    assert sum(map(len, pages)) == len(set().union(*pages))
    assert {name: row for page in pages for name, row in page.items()} == declared()


@by_name(FAMILIES)
def test_name_and_synopsis_have_the_same_functions(page):
    names = re.findall(r"^\.Nm (px_\w+)", page.read_text(), re.M)
    assert names == [page.stem, *synopsis(page)]


@by_name(FAMILIES)
def test_page_has_all_sections(page):
    sections = re.findall(r"^\.Sh (.*)$", page.read_text(), re.M)
    assert sections == ["NAME", "LIBRARY", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "EXAMPLES", "ERRORS", "SEE ALSO"]


def test_overview_names_all_pages():
    overview = (SOURCE / "man/libpxrun.3").read_text()
    assert {page.stem for page in FAMILIES} == set(re.findall(r"^\.It Xr (px_\w+) 3$", overview, re.M))


@pytest.mark.skipif(bool(os.environ.get("PXRUN_SANITIZE_PRELOAD")),
                    reason="a program must be linked with the sanitizer of its library")
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to be found")
@by_name(PAGES)
def test_program_prints_what_the_page_says(page, tmp_path):
    examples = page.read_text().partition(".Sh EXAMPLES\n")[2].replace(r"\e", "\\")
    cc = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{SOURCE / 'lib/client'}"]
    *libraries, program, printed = re.findall(LITERAL, examples, re.S)
    assert len(libraries) == (page.stem == "px_native")
    for code, words in zip(libraries, re.findall(r"^\.Dl cc (.*)$", examples, re.M)):
        *options, source = words.split()
        (tmp_path / source).write_text(code)
        subprocess.run([*cc, *options, source], cwd=tmp_path, check=True)
    (tmp_path / "example.c").write_text(program)
    subprocess.run([*cc, "example.c", f"-L{BUILD / '.libs'}", "-lpxrun", "-o", "example"], cwd=tmp_path, check=True)
    with tempfile.TemporaryDirectory() as runtime:  # where no pools are but the program's; a short path, for sockets
        env = dict(os.environ, XDG_RUNTIME_DIR=runtime)
        done = subprocess.run([tmp_path / "example"], text=True, capture_output=True, timeout=120, cwd=tmp_path, env=env)
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


def test_each_function_has_a_page_of_its_name(tmp_path):
    folder = tmp_path / "man3"
    folder.mkdir()
    subprocess.run(["make", "-s", "-C", BUILD, "install-man-links", f"man3dir={folder}", "DESTDIR="], check=True)
    links = {path.stem: path.read_text() for path in folder.iterdir()}
    assert links == {name: f".so man3/{page.stem}.3\n" for page in FAMILIES for name in synopsis(page)}
