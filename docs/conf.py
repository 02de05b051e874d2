"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "snapback"
project_copyright = "the snapback developers"
release = metadata.version("snapback")

extensions = ["generated", "myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"snapback {release}"
html_show_sphinx = False
smartquotes = False  # a double dash is an option

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
