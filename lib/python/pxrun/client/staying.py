# SPDX-License-Identifier: BSD-3-Clause
"""What cannot be sent, because it belongs to the process that made it."""
from __future__ import annotations

from typing import NoReturn


class Staying:
    """The part of a class that refuses to be pickled, in words."""

    #: What to do instead.
    _instead = ""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} belongs to the process that made it: {self._instead}")
