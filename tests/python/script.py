# SPDX-License-Identifier: BSD-3-Clause
"""Functions and classes as a script has them, for tests that run in this process."""
import textwrap


class Script:
    """The names of a script, which engines cannot import."""

    def __init__(self, code):
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        self(code)

    def __call__(self, code):
        exec(textwrap.dedent(code), self.names)
        return self

    def __getattr__(self, name):
        return self.names[name]

    def lambda_(self, code):
        return eval(f"lambda *args: {code}", self.names)
