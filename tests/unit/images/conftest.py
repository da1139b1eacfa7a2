"""Modules of images, importable as they are in the image."""

from __future__ import annotations

import sys

from tests import ROOT

sys.path[:0] = [str(ROOT / "images/model-server"), str(ROOT / "images/python")]
