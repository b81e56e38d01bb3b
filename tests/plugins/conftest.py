"""What the tests of plugins share."""

import sys

import pytest

from ampsim.config import plugins


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch):
    """What a test names, imports or reports is forgotten after it."""
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setattr(plugins, "_elsewhere", set())
    monkeypatch.setattr(plugins, "_reported", set())
    monkeypatch.setattr(sys, "path", path)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("tube_"):
            del sys.modules[name]
    plugins.discovered.cache_clear()
    plugins.imported.cache_clear()
