from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from devcluster.__main__ import main, parser, settings_from
from devcluster.settings import DEFAULT_STATE, Settings


def _settings(*words: str) -> Settings:
    return settings_from(parser().parse_args(words))


def test_without_options_it_is_the_cluster_of_the_demo(tmp_path: Path) -> None:
    assert _settings("--state", str(tmp_path), "up") == Settings(state=tmp_path)


def test_another_name_has_a_state_folder_of_its_own() -> None:
    assert _settings("--name", "two", "status").state == DEFAULT_STATE.with_name("asrpool-devcluster-two")


def test_options_win_over_what_the_state_folder_says_and_that_over_defaults(tmp_path: Path) -> None:
    Settings("two", tmp_path, IPv4Network("10.7.0.0/16"), 1, {"nvidia.com/gpu": 2}).save()
    remembered = _settings("--state", str(tmp_path), "up")
    assert remembered == Settings("two", tmp_path, IPv4Network("10.7.0.0/16"), 1, {"nvidia.com/gpu": 2})
    told = _settings("--state", str(tmp_path), "up", "--dns-ttl", "0", "--extended-resource", "a.b/c=3")
    assert (told.dns_ttl_seconds, told.extended_resources) == (0, {"a.b/c": 3})


def test_a_failure_is_one_sentence_and_exit_code_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["devcluster", "--state", str(tmp_path), "stop", "kube-apiserver"])
    assert main() == 1
    assert capsys.readouterr().err == ("devcluster: Cluster asrpool is not up. Run `python -m devcluster up`.\n")


@pytest.mark.parametrize("words", [["up", "--network", "10.0.0.0/8"], ["up", "--extended-resource", "gpu=1"]])
def test_settings_that_cannot_work_are_refused_before_anything_is_done(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["devcluster", "--state", str(tmp_path / "none"), *words])
    assert main() == 1
    assert not (tmp_path / "none").exists()
