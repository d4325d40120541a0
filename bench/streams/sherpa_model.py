"""Where the streaming weights are in sherpa-onnx's form: made once by `sherpa_export`, in fp32 and int8."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.streams import model_dirs


def sherpa_model(online: Path, home: Path, tell: Callable[[str], None]) -> Path:
    """The folder for the weights in `online`. Raises `ModelsError`."""
    recipe = model_dirs.hash_of_files([Path(__file__).with_name("sherpa_export.py")])
    folder = home / f"sherpa-{online.name}-{recipe[:8]}"
    if folder.is_dir():
        return folder
    tell(f"making {folder}")
    draft = Path(tempfile.mkdtemp(dir=home, prefix=".sherpa-"))
    try:
        command = [sys.executable, "-m", "bench.streams.sherpa_export", str(online), str(draft), "--int8"]
        model_dirs.run(command, "export for sherpa-onnx")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder
