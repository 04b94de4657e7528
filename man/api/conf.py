# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx's settings for the reference pages of the Python package, which are made of its docstrings: make doc."""
import pxrun

project = "pxrun"
copyright = "the authors of pxrun"
version = release = pxrun.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
templates_path = ["templates"]
html_theme = "alabaster"
html_show_sourcelink = False
html_copy_source = False
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections name types
autodoc_default_options = {"members": True, "inherited-members": "Future,Executor,dict,BaseException", "member-order": "bysource"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
