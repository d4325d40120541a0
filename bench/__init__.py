"""Timings, always as ratios against a baseline that is named and taken in the same run. Never part of the tests."""
