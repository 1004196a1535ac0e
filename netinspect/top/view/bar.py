"""A line of text on the screen, parts of which may be clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.strip import Strip
from textual.widget import Widget

from ...engine.terminal import width
from .styles import PLAIN, Part, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.events import Click


class Bar(Widget):
    """One line."""

    DEFAULT_CSS = "Bar { height: 1; }"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._parts: Sequence[Part] = ()
        self._right: Sequence[Part] = ()
        self._around = PLAIN
        self._actions: Sequence[str] = ()

    def say(
        self,
        parts: Sequence[Part],
        right: Sequence[Part] = (),
        *,
        around: Style = PLAIN,
        actions: Sequence[str] = (),
    ) -> None:
        """Shows these parts, those of ``right`` at the right end where there is room.

        ``actions`` are the app's for a click on each part, empty where there is none.
        """
        shown = tuple(parts), tuple(right), around, tuple(actions)
        if shown != (self._parts, self._right, self._around, self._actions):
            self._parts, self._right, self._around, self._actions = shown
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line."""
        columns = self.size.width
        parts = list(self._parts)
        left = columns - sum(width(text) for text, _ in (*parts, *self._right))
        if self._right and left > 0:
            parts += [(" " * left, PLAIN), *self._right]
        return strip(parts, columns, self._around)

    async def on_click(self, event: Click) -> None:
        """Does what the part under the pointer is for."""
        at = 0
        for (text, _), action in zip(self._parts, self._actions, strict=False):
            at += width(text)
            if event.x < at:
                if action:
                    await self.app.run_action(action)
                return
