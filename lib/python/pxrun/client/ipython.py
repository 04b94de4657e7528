# SPDX-License-Identifier: BSD-3-Clause
"""The IPython that runs here, if one does; it may have begun after pxrun was imported, and is not imported for this."""
from __future__ import annotations

import sys
from typing import Any


def running() -> Any:
    """Its shell; None: there is none."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)  # not there while it is imported
    return None if get_ipython is None else get_ipython()
