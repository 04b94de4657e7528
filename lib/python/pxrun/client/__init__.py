# SPDX-License-Identifier: BSD-3-Clause
"""The client's side of a pool: connections, views, results. Over the extension's Client and Result."""
