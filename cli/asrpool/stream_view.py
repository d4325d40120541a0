"""What `asrpool stream` prints: for programs, for pipes, for eyes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from asrpool.client import Heard


class View(Protocol):
    """Entered when the stream begins, left at its end."""

    def opened(self, pod: str | None, session_id: str | None) -> None:
        """The stream stands."""

    def heard(self, heard: Heard) -> None:
        """The server said something."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


class JsonView:
    """For programs: the server's messages as they are, one a line."""

    def opened(self, pod: str | None, session_id: str | None) -> None:
        """See `View`."""
        print(json.dumps({"pod": pod, "session": session_id}), flush=True)

    def heard(self, heard: Heard) -> None:
        """See `View`."""
        print(json.dumps(heard.message, ensure_ascii=False), flush=True)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_error: object) -> None:
        return None


class LinesView:
    """For pipes: what an utterance is so far, a line for each partial; its final without a mark."""

    def __init__(self) -> None:
        self._so_far = ""

    def opened(self, pod: str | None, session_id: str | None) -> None:
        """See `View`."""
        print(f"# pod {pod or 'unnamed'}, session {session_id or 'unnamed'}", flush=True)

    def heard(self, heard: Heard) -> None:
        """See `View`."""
        if heard.final:
            text = self._so_far if heard.ends_online else heard.text
            self._so_far = ""
            if text:
                print(f"{who(heard.message)}{text}{how(heard.message)}", flush=True)
        else:
            self._so_far += heard.text
            print(f"… {self._so_far}", flush=True)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_error: object) -> None:
        return None


class ScreenView:
    """For eyes: finals stay, the running utterance grows below them."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(Text(""), console=self._console, refresh_per_second=20)
        self._so_far = ""

    def opened(self, pod: str | None, session_id: str | None) -> None:
        """See `View`."""
        self._console.print(Text(f"pod {pod or 'unnamed'}, session {session_id or 'unnamed'}", style="dim"))

    def heard(self, heard: Heard) -> None:
        """See `View`."""
        if heard.final:
            text = self._so_far if heard.ends_online else heard.text
            self._so_far = ""
            self._live.update(Text(""), refresh=True)
            if text:
                told = ((who(heard.message), "green"), (text, "bold"), (how(heard.message), "dim"))
                self._console.print(Text.assemble(*told))
        else:
            self._so_far += heard.text
            self._live.update(Text(f"{self._so_far} ▌", style="cyan"))

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_error: object) -> None:
        self._live.update(Text(self._so_far))
        self._live.stop()


def who(message: Mapping[str, object]) -> str:
    """The speaker of a final, with how alike the voices are; nothing where no speaker is named."""
    name, score = message.get("spk_name"), message.get("spk_score")
    if not name:
        return ""
    return f"{name} ({score:.2f}): " if isinstance(score, int | float) else f"{name}: "


def how(message: Mapping[str, object]) -> str:
    """Language, emotion and kind of sound of a final, where the model tells them."""
    told = [str(message[key]) for key in ("language", "emotion", "event") if message.get(key)]
    return f" [{', '.join(told)}]" if told else ""
