"""NOTES.txt: what somebody who has just installed the chart is told to type."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from asrpool_operator.api import parse

NOTES = (Path(__file__).parents[2] / "charts" / "asrpool" / "templates" / "NOTES.txt").read_text(encoding="utf-8")


def test_the_first_pool_is_one_that_can_run_as_written() -> None:
    """Models by their ids need torch, and torch needs an image of one's own."""
    (text,) = re.findall(r"<<YAML\n(.*?)\n  YAML\n", NOTES, flags=re.DOTALL)
    manifest = yaml.safe_load(re.sub(r"\{\{.*?\}\}", "1", text))
    manifest["metadata"]["namespace"] = "speech"
    manifest["metadata"]["uid"] = "0d9b2b4e-1f0e-4c5e-9a55-2c1c7e4c0b11"
    worker = parse(manifest).spec.worker
    assert (str(worker.engine), worker.resources.limits) == ("torch", {"nvidia.com/gpu": 1})
    assert worker.image


def test_what_surprises_is_said() -> None:
    assert "`kubectl drain` of its node waits" in NOTES
    assert "Secrets in the whole cluster" in NOTES
    assert "watchNamespaces" in NOTES
