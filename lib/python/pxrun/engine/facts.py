# SPDX-License-Identifier: BSD-3-Clause
"""What ``pxrun doctor`` asks the interpreter of engines, which it starts as a pool does."""
from __future__ import annotations

import importlib.metadata
import json
import sys

from .. import _pxrun

#: What engines use if it is there, but numpy, which is imported.
_OPTIONAL = ("cloudpickle", "ipython", "ipykernel", "jupyter-console", "tqdm", "mpi4py")


def _numpy():
    try:
        import numpy
    except ModuleNotFoundError as error:
        return {"numpy": None} if error.name == "numpy" else {"numpy": None, "numpy_error": str(error)}
    except Exception as error:  # whatever a broken installation raises
        return {"numpy": None, "numpy_error": f"{type(error).__name__}: {error}"}
    try:
        _pxrun.find_numpy()
    except (ImportError, AttributeError) as error:
        return {"numpy": numpy.__version__, "numpy_error": str(error)}
    return {"numpy": numpy.__version__}


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def tell() -> None:
    """Prints them as one JSON object."""
    facts = {"executable": sys.executable, "python": sys.version.split()[0], **_numpy()}
    print(json.dumps({**facts, "optional": {name: _version(name) for name in _OPTIONAL}}))
