"""Tests: the folders mirror the packages. A package, so that no installed distribution's own `tests` can take its name."""
