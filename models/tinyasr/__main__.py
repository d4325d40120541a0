"""``python -m tinyasr``: make the tiny models; about 45 minutes on two otherwise idle cores."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinyasr import pipeline


def main() -> None:
    """Make everything; ``--out`` puts the model directories elsewhere than into the repository."""
    parser = argparse.ArgumentParser(prog="python -m tinyasr", description=__doc__)
    parser.add_argument("--out", type=Path, default=pipeline.MODELS, help="where the model directories go")
    pipeline.make(parser.parse_args().out)


if __name__ == "__main__":
    main()
