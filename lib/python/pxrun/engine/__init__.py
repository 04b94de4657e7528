# SPDX-License-Identifier: BSD-3-Clause
"""The code that runs in an engine's process, above the C loop in lib/engine."""
