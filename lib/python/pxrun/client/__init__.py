# SPDX-License-Identifier: BSD-3-Clause
"""The client's side of a pool."""
