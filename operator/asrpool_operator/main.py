"""`asrpool-operator`: the process, from start to end, readable from top to bottom."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from asrpool_operator import logs
from asrpool_operator.errors import AsrpoolOperatorError, SettingsError
from asrpool_operator.settings import Settings, add_arguments, settings_from

if TYPE_CHECKING:
    from asrpool_operator.process import Process

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        settings = settings_from(vars(arguments))
    except SettingsError as error:
        print(f"asrpool-operator: {error}", file=sys.stderr)
        return EXIT_USAGE
    logs.configure(json_lines=settings.log_json, level=settings.log_level)
    # Heavy imports (kopf, the Kubernetes client) come after the settings are known to be right.
    from asrpool_operator.process import Process

    try:
        asyncio.run(_run(Process(settings), settings))
    except AsrpoolOperatorError as error:
        log.error("%s", error)
        return EXIT_FAILED
    return EXIT_OK


async def _run(process: Process, settings: Settings) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    log.info("asrpool-operator %s starts as %s", _version(), settings.identity)
    await process.run(asked_to_stop)
    log.info("asrpool-operator has ended; gateways and workers go on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asrpool-operator",
        description="Runs pools of FunASR workers on Kubernetes: scales on live streams, never ends one to save money.",
    )
    parser.add_argument("--version", action="version", version=f"asrpool-operator {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="watch ASRPools and act on them until SIGTERM")
    add_arguments(run)
    return parser


def _version() -> str:
    try:
        return version("asrpool")
    except PackageNotFoundError:
        return "(from source)"  # the image holds the package's folder only, without the metadata of an installation


if __name__ == "__main__":
    sys.exit(main())
