"""The command line of the worker, where no server runs yet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asrpool_worker.main import main


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_export_without_its_libraries_says_what_is_missing(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "asrpool_worker.engine.export", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["export", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("asrpool-worker: export needs torch and onnx, which are not installed here")


def test_help_says_where_what_clients_ask_for_acts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "acts on finals, where the models given here can do it" in told
    for flag in ("--punc", "--speaker", "--speakers", "--itn", "--dtype"):
        assert f"{flag} VALUE" in told
