"""The settings of `asrpool-worker serve`: flags first, then `ASRPOOL_*` variables, then defaults.

Everything that is wrong is named at once, by flag and variable, before a port is opened or a model is read.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asrpool_worker.errors import SettingsError

ENV_PREFIX = "ASRPOOL_"

_Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseModel):
    """One worker's settings. A field `admin_port` is the flag `--admin-port` and the variable `ASRPOOL_ADMIN_PORT`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["onnx", "torch"] = Field("onnx", description="onnx (onnxruntime) or torch")
    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:N")
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = Field(
        "float32", description="float32; int8 with engine onnx; float16 or bfloat16 with engine torch"
    )
    online: str | None = Field(None, description="streaming model: a FunASR model directory or a model id")
    offline: str | None = Field(None, description="model of the second pass: directory or id")
    vad: str | None = Field(None, description="voice activity detection: directory or id")
    punc: str | None = Field(None, description="punctuation of final texts: directory or id")
    speaker: str | None = Field(None, description="speaker embedding, who said a final text: directory or id")
    speakers: Path | None = Field(
        None, description="folder of enrolled voices, NAME.wav or NAME/*.wav; others are speaker-1, speaker-2, …"
    )
    itn: bool = Field(
        default=False, description="true or false: write numbers, dates and money as figures in final texts"
    )
    hub: Literal["modelscope", "huggingface"] = Field("modelscope", description="where model ids are looked up")
    model_cache: Path | None = Field(None, description="folder for models that are fetched by id")
    threads: int = Field(1, ge=1, le=1_024, description="threads of one model step on a CPU")
    max_batch: int = Field(32, ge=1, le=1_024, description="sessions in one model step at most")
    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - a pod's ports are for its cluster
    port: _Port = Field(10095, description="port of the protocols and of health")
    admin_port: _Port = Field(10096, description="port of /status, /drain, /capacity and /metrics")
    agent_port: _Port = Field(10097, description="port of HAProxy's agent-check")
    capacity: int = Field(0, ge=0, le=10_000, description="sessions at once; 0: 20 on a GPU, else 2 for each core")
    admin_token: str | None = Field(
        None, min_length=1, description="token of the admin port; without one it listens on loopback only"
    )
    admin_token_file: Path | None = Field(None, description="file that holds the token")
    drain_seconds: float = Field(3_600, ge=0, description="after SIGTERM, live streams may go on for so long")
    resume_seconds: float = Field(60, ge=0, description="a session's id may come back for so long, also while draining")
    idle_seconds: float = Field(60, gt=0, description="a session that sends nothing for so long is ended")
    max_seconds: float = Field(14_400, gt=0, description="longest life of a session")
    max_frame_bytes: int = Field(4 << 20, ge=1_024, le=64 << 20, description="longest binary message")
    write_seconds: float = Field(10, gt=0, description="a client that reads nothing for so long is ended")
    pod_name: str = Field(
        "", description="name of this worker in answers and logs; default: $POD_NAME, else the host's name"
    )
    log_format: Literal["auto", "json", "text"] = Field("auto", description="json, text, or auto: text on a terminal")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @property
    def sessions(self) -> int:
        """The capacity, worked out where it was left to us. Measured capacity is the calibrate command's work."""
        return self.capacity or (20 if self.device.startswith("cuda") else 2 * (os.cpu_count() or 1))

    @property
    def pod(self) -> str:
        """The worker's name."""
        return self.pod_name or os.environ.get("POD_NAME") or socket.gethostname()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting. Values stay text here: `read_settings` checks flags and variables alike."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f" (default: {field.default})"
        parser.add_argument(_flag(name), dest=name, default=None, metavar="VALUE", help=f"{field.description}{default}")
    parser.add_argument(
        "--json", dest="log_format", action="store_const", const="json", help="the same as --log-format json"
    )


def read_settings(arguments: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Check everything. Raises `SettingsError` with one line for each wrong setting."""
    given: dict[str, str] = {}
    source: dict[str, str] = {}
    for name in Settings.model_fields:
        flag, variable = arguments.get(name), environment.get(_variable(name))
        if flag is not None:
            given[name], source[name] = flag, _flag(name)
        elif variable and not variable.startswith("tcp://"):  # Kubernetes' own ASRPOOL_PORT of a Service named asrpool
            given[name], source[name] = variable, _variable(name)
    problems = _conflicts(given)
    _read_token_file(given, source, problems)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problems += [_sentence(detail["loc"], detail["msg"], detail.get("input"), source) for detail in error.errors()]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _conflicts(given: Mapping[str, str]) -> list[str]:
    """What is wrong between settings, looked at before each is checked by itself: both kinds are told at once."""
    problems = []
    if not (given.get("online") or given.get("offline")):
        problems.append("no model: give --online, --offline or both")
    engine, dtype = given.get("engine", "onnx"), given.get("dtype", "float32")
    if engine == "onnx" and dtype in ("float16", "bfloat16"):
        problems.append(f"--dtype: {dtype} is for engine torch; engine onnx computes in float32 or int8")
    if engine == "torch" and dtype == "int8":
        problems.append("--dtype: int8 is for engine onnx; engine torch computes in float32, float16 or bfloat16")
    if given.get("speakers") and not given.get("speaker"):
        problems.append("--speakers: voices are told apart by a speaker model; give --speaker too")
    names = ("port", "admin_port", "agent_port")
    ports = [given.get(name, str(Settings.model_fields[name].default)) for name in names]
    fixed = [port for port in ports if port != "0"]
    if len(set(fixed)) != len(fixed):
        problems.append("--port, --admin-port and --agent-port must differ")
    return problems


def _read_token_file(given: dict[str, str], source: Mapping[str, str], problems: list[str]) -> None:
    """The token out of its file, unless one was given directly."""
    path = given.get("admin_token_file")
    if path is None or "admin_token" in given:
        return
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{source['admin_token_file']}: cannot read {path}: {error}")
        return
    if token:
        given["admin_token"] = token
    else:
        problems.append(f"{source['admin_token_file']}: {path} is empty")


def _sentence(location: Sequence[str | int], message: str, value: object, source: Mapping[str, str]) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0])
    shown = "" if name == "admin_token" else f" {value!r}"
    return f"{source.get(name, _flag(name))}:{shown} {message[0].lower()}{message[1:]}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return ENV_PREFIX + name.upper()
