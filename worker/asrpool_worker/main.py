"""The `asrpool-worker` command: `serve` runs a worker, `export` makes the ONNX files of a model directory."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from asrpool_worker.errors import AsrpoolWorkerError, SettingsError

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong settings."""
    # As a container's first process, a SIGTERM without a handler is ignored, and the pod would wait for its whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parsed = _parser().parse_args(arguments)
    try:
        return _serve(parsed) if parsed.command == "serve" else _export(parsed.directories, parsed.int8)
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"asrpool-worker: {line}", file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    from asrpool_worker.settings import add_arguments

    parser = argparse.ArgumentParser(
        prog="asrpool-worker", description="Live speech recognition for many streams on one device."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run a worker",
        description="Run a worker. Every flag can also be given as a variable: --admin-port as ASRPOOL_ADMIN_PORT. "
        "What clients ask of hotwords, language, punctuation, speakers and figures acts on finals, where the models given "
        "here can do it.",
        epilog="example: asrpool-worker serve --online models/paraformer-tiny-streaming --vad models/fsmn-vad-tiny "
        "--offline models/paraformer-tiny",
    )
    add_arguments(serve)
    export = commands.add_parser(
        "export", help="write the ONNX files beside a model directory's model.pt (needs torch)"
    )
    export.add_argument(
        "--int8",
        action="store_true",
        help="write model.int8.onnx too, for serve --dtype int8: a quarter of the size, faster",
    )
    export.add_argument("directories", type=Path, nargs="+", metavar="DIR", help="a FunASR model directory")
    return parser


def _serve(parsed: argparse.Namespace) -> int:
    from asrpool_worker.settings import read_settings

    settings = read_settings(vars(parsed), os.environ)

    import uvloop

    from asrpool_worker.server.life import serve
    from asrpool_worker.server.loading import build_engine
    from asrpool_worker.server.logs import configure

    configure(settings.log_format, settings.log_level, settings.pod)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, build_engine))
    except SettingsError:
        raise
    except AsrpoolWorkerError as error:
        log.critical("%s", error)
        return EXIT_FAILED
    return 0


def _export(directories: Sequence[Path], int8: bool) -> int:
    try:
        from asrpool_worker.engine.export import export_directory
    except ImportError as error:
        print(
            f"asrpool-worker: export needs torch and onnx, which are not installed here ({error});"
            " install asrpool[torch], or export on another machine",
            file=sys.stderr,
        )
        return EXIT_FAILED
    failed = False
    for directory in directories:
        try:
            for path in export_directory(directory, int8):
                print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        except AsrpoolWorkerError as error:
            print(f"asrpool-worker: {directory}: {error}", file=sys.stderr)
            failed = True
    return EXIT_FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
