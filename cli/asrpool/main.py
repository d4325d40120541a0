"""The `asrpool` command. Each subcommand is a module of its own, read only when it is wanted: `--help` stays quick."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from asrpool.errors import AsrpoolError, UsageError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PIPE = 141
"""What a shell says of a program that SIGPIPE ended."""

COMMANDS = {
    "stream": "send a WAV file or PCM from stdin as a live stream and show what comes back",
    "load": "many live streams at once, with latency, error rate, lost and moved streams",
    "plan": "what the operator would decide for a pool in a given state, and why",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="asrpool", description="Tools for people who run or use pools of speech recognition."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == wanted:
            importlib.import_module(f"asrpool.{name}").add_parser(commands)
        else:
            commands.add_parser(name, help=summary)
    parsed = parser.parse_args(arguments)
    try:
        status = int(parsed.run(parsed))
        sys.stdout.flush()  # here, where a reader that is gone is understood, not at exit
    except UsageError as error:
        print(f"asrpool {parsed.command}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except AsrpoolError as error:
        print(f"asrpool {parsed.command}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output (`| head`) has seen enough. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    return status


if __name__ == "__main__":
    sys.exit(main())
