# SPDX-License-Identifier: BSD-3-Clause
"""How objects become bytes and buffers, and come back."""
