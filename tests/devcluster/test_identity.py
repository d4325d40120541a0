from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devcluster.identity import ProcessIdentity


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_is_killed_by_its_identity(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    assert identity.alive()
    assert identity.kill()
    assert sleeper.wait() == -9
    assert not identity.alive()
    assert identity.kill(), "killing what is gone is no error"


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another"}], ids=["reused-pid", "after-restart"])
def test_a_stranger_under_the_same_id_is_never_killed(
    sleeper: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    stale = replace(identity, **change)  # type: ignore[arg-type]
    assert not stale.alive()
    assert stale.kill()
    assert identity.alive()


def test_a_zombie_is_not_alive() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ProcessIdentity.of(pid) is None
    os.waitpid(pid, 0)


def test_a_process_name_with_parentheses_and_spaces_is_read(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = " ".join(["S", *(str(n) for n in range(4, 22)), "4711", "23"])
    (tmp_path / "7/stat").write_text(f"7 (a) b (c) {fields}\n")
    boot = tmp_path / "sys/kernel/random"
    boot.mkdir(parents=True)
    (boot / "boot_id").write_text("this-boot\n")
    assert ProcessIdentity.of(7, tmp_path) == ProcessIdentity(7, 4711, "this-boot")


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]"], ids=["empty", "cut", "old-form", "wrong-type"])
def test_a_damaged_file_names_no_process(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.json"
    path.write_text(text)
    assert ProcessIdentity.read(path) is None


def test_an_identity_is_written_and_read_back(tmp_path: Path) -> None:
    identity = ProcessIdentity(1, 2, "three")
    identity.write(tmp_path / "node.json")
    assert ProcessIdentity.read(tmp_path / "node.json") == identity
