# SPDX-License-Identifier: BSD-3-Clause
"""``python -m pxrun.engine``."""
import sys

from .program import main

sys.exit(main(sys.argv[1:]))
