"""Flags, variables, defaults; and every wrong one named at once."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from asrpool_worker.errors import SettingsError
from asrpool_worker.settings import Settings, add_arguments, read_settings


def read(*flags: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return read_settings(vars(parser.parse_args(flags)), environment)


def problems(*flags: str, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read(*flags, **environment)
    return str(raised.value).splitlines()


def test_defaults() -> None:
    settings = read("--online", "models/x")
    assert (settings.port, settings.admin_port, settings.agent_port) == (10095, 10096, 10097)
    assert (settings.engine, settings.device, settings.admin_token) == ("onnx", "cpu", None)
    assert settings.sessions >= 2


def test_a_flag_wins_over_a_variable() -> None:
    settings = read("--online=a", "--capacity=7", ASRPOOL_CAPACITY="5", ASRPOOL_DRAIN_SECONDS="9", ASRPOOL_VAD="")
    assert (settings.sessions, settings.drain_seconds, settings.vad) == (7, 9, None)


def test_the_further_models_are_off_until_they_are_named() -> None:
    plain = read("--online=a")
    assert (plain.punc, plain.speaker, plain.speakers, plain.itn) == (None, None, None, False)
    full = read("--offline=a", "--punc=p", "--itn=true", "--speakers=voices", ASRPOOL_SPEAKER="s")
    assert (full.punc, full.speaker, full.speakers, full.itn) == ("p", "s", Path("voices"), True)


@pytest.mark.parametrize(
    ("engine", "dtype"),
    [("onnx", "float32"), ("onnx", "int8"), ("torch", "float32"), ("torch", "float16"), ("torch", "bfloat16")],
)
def test_number_formats_that_an_engine_has(engine: str, dtype: str) -> None:
    assert read("--online=a", f"--engine={engine}", f"--dtype={dtype}").dtype == dtype


def test_json_is_short_for_the_log_format() -> None:
    assert read("--online=a", "--json").log_format == "json"


def test_a_gpu_gets_the_capacity_of_a_gpu() -> None:
    assert read("--online=a", "--engine=torch", "--device=cuda:1").sessions == 20


def test_kubernetes_own_variable_of_a_service_named_asrpool_is_no_setting() -> None:
    assert read("--online=a", ASRPOOL_PORT="tcp://10.0.0.1:80").port == 10095


def test_the_token_comes_out_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    assert read("--online=a", f"--admin-token-file={file}").admin_token == "s3cret"


def test_every_wrong_setting_is_named_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    found = problems(
        "--port=99999",
        "--engine=foo",
        "--idle-seconds=0",
        ASRPOOL_CAPACITY="many",
        ASRPOOL_ADMIN_TOKEN_FILE=str(tmp_path / "empty"),
        ASRPOOL_DEVICE="tpu",
    )
    for named in (
        "--port: '99999'",
        "--engine: 'foo'",
        "--idle-seconds: '0'",
        "ASRPOOL_CAPACITY: 'many'",
        "ASRPOOL_DEVICE: 'tpu'",
    ):
        assert any(line.startswith(named) for line in found), named
    assert f"ASRPOOL_ADMIN_TOKEN_FILE: {tmp_path / 'empty'} is empty" in found
    assert "no model: give --online, --offline or both" in found
    assert len(found) == 7


def test_a_token_is_never_shown() -> None:
    assert "--admin-token: string should have at least 1 character" in problems("--online=a", "--admin-token=")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--online=a", "--dtype=float16"), "--dtype: float16 is for engine torch"),
        (("--online=a", "--engine=onnx", "--dtype=bfloat16"), "--dtype: bfloat16 is for engine torch"),
        (("--online=a", "--engine=torch", "--dtype=int8"), "--dtype: int8 is for engine onnx"),
        (("--online=a", "--dtype=int4"), "--dtype: 'int4'"),
        (("--online=a", "--itn=maybe"), "--itn: 'maybe'"),
        (("--online=a", "--speakers=voices"), "--speakers: voices are told apart by a speaker model"),
        (("--online=a", "--port=10096"), "--port, --admin-port and --agent-port must differ"),
        (("--online=a", "--admin-token-file=/nowhere/token"), "--admin-token-file: cannot read /nowhere/token"),
    ],
)
def test_conflicts(flags: tuple[str, ...], sentence: str) -> None:
    assert any(line.startswith(sentence) for line in problems(*flags))
