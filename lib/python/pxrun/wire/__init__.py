# SPDX-License-Identifier: BSD-3-Clause
"""How calls, results and exceptions become bytes and buffers, and objects again. Both sides use it."""
