"""`asrpool plan`: the operator's decision for files, in words or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asrpool.main import EXIT_OK, EXIT_USAGE, main

EXAMPLES = Path(__file__).parents[2] / "examples"
POOL = EXAMPLES / "asrpool.yaml"
BURST = EXAMPLES / "snapshots" / "burst-from-zero.json"


def run(*arguments: object) -> int:
    return main(["plan", *map(str, arguments)])


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        ("burst-from-zero", ["12 waiting", "replicas 0 → 4", "decided by"]),
        ("most-have-left", ["1 drain", "replicas 3 → 2", "set replicas 3 → 2"]),
        ("they-come-back", ["replicas 3 → 3", "un-drain mandarin-worker-b"]),
    ],
)
def test_the_examples_are_explained(capsys: pytest.CaptureFixture[str], snapshot: str, words: list[str]) -> None:
    assert run("-f", POOL, "--snapshot", EXAMPLES / "snapshots" / f"{snapshot}.json") == EXIT_OK

    said = capsys.readouterr().out
    for word in words:
        assert word in said


def test_every_example_snapshot_can_be_planned() -> None:
    snapshots = sorted((EXAMPLES / "snapshots").glob("*.json"))

    assert snapshots
    for snapshot in snapshots:
        assert run("-f", POOL, "--snapshot", snapshot) == EXIT_OK


def test_json_can_be_fed_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The memory of one decision is the input of the next."""
    assert run("-f", POOL, "--snapshot", BURST, "--json") == EXIT_OK
    first = json.loads(capsys.readouterr().out)
    memory = tmp_path / "memory.json"
    memory.write_text(json.dumps(first["decision"]["memory"]), encoding="utf-8")

    assert run("-f", POOL, "--snapshot", BURST, "--memory", memory, "--json") == EXIT_OK
    second = json.loads(capsys.readouterr().out)
    assert first["actions"] == second["actions"] == [{"do": "Scale", "before": 0, "replicas": 4}]


def test_now_makes_numbers_stale(capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = EXAMPLES / "snapshots" / "most-have-left.json"
    assert run("-f", POOL, "--snapshot", snapshot, "--now", 1_790_000_100) == EXIT_OK

    assert "missing or stale" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pool", "snapshot", "words"),
    [
        (None, "{}", "cannot read"),
        ("kind: Pod", "{}", "0 objects of kind ASRPool"),
        ("kind: [", "{}", "not YAML"),
        ("kind: ASRPool\nmetadata: {name: p}\nspec: {models: {}}", "{}", "spec.models"),
        (POOL.read_text(encoding="utf-8"), "{", "Invalid JSON"),
        (POOL.read_text(encoding="utf-8"), '{"name": "p"}', "namespace"),
        (POOL.read_text(encoding="utf-8"), '{"name": "p", "namespace": "n", "pods": 3}', "pods"),
    ],
)
def test_a_wrong_file_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pool: str | None, snapshot: str, words: str
) -> None:
    pool_path, snapshot_path = tmp_path / "pool.yaml", tmp_path / "snapshot.json"
    if pool is not None:
        pool_path.write_text(pool, encoding="utf-8")
    snapshot_path.write_text(snapshot, encoding="utf-8")

    assert run("-f", pool_path, "--snapshot", snapshot_path) == EXIT_USAGE
    assert words in capsys.readouterr().err
