# SPDX-License-Identifier: BSD-3-Clause
"""What runs in an engine's process."""
