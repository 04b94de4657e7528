# SPDX-License-Identifier: BSD-3-Clause
"""Every example of pxrun(7) is run, and prints what the page says."""
import doctest
import os
import pathlib
import re

PAGE = pathlib.Path(__file__).parents[2] / "man" / "pxrun.7"
ESCAPES = {r"\(aq": "'", r"\e": "\\", r"\&": ""}


def displayed(page):
    """The lines between .Bd and .Ed, as a reader sees them."""
    for block in re.findall(r"^\.Bd.*?\n(.*?)^\.Ed", page, re.S | re.M):
        for escape, character in ESCAPES.items():
            block = block.replace(escape, character)
        yield block


def test_examples_of_the_page(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(displayed(PAGE.read_text()))
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, "pxrun.7", str(PAGE), 0)
    assert len(test.examples) > 40
    said = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert failed == 0, "".join(said)
    assert tried == len(test.examples) and os.getcwd() == str(tmp_path)
