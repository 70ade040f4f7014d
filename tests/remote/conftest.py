"""Fixtures of whole runs, for the tests of this directory."""

from __future__ import annotations

from integration.conftest import caches as caches
from integration.conftest import make_workspace as make_workspace
