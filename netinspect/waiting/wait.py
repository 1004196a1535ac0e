"""Waiting for a condition: by kernel events, and by polling where there are none."""

from __future__ import annotations

import os
from select import POLLIN, poll
from typing import Any, NamedTuple

from ..engine.namespaces import open_namespace
from ..engine.netlink.subscription import Subscription
from ..engine.places import EveryPlace, Place
from ..errors import NetlinkError
from .conditions import Observation
from .until import LONGEST_PAUSE, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conditions import Condition

_BUFFER = 1 << 18


class Where:
    """The namespaces to look into. Named ones are opened once: a new one of that name is another one."""

    def __init__(self, names: Sequence[str] = (), *, everywhere: bool = False) -> None:
        """Without names the current one. Raises NamespaceError."""
        self.everywhere = everywhere
        self._names = names
        self._opened: list[int] = []
        self._places = [Place()]
        if names:
            try:
                self._opened = [open_namespace(name) for name in names]
            except BaseException:
                self.close()
                raise
            labels = names if len(names) > 1 else [None]
            self._places = [
                Place(f"/proc/{os.getpid()}/fd/{opened}", label)
                for opened, label in zip(self._opened, labels, strict=True)
            ]

    def places(self) -> list[Place]:
        """The namespaces as they are now."""
        return EveryPlace() if self.everywhere else self._places

    def close(self) -> None:
        """Lets go of them."""
        for opened in self._opened:
            os.close(opened)
        self._opened = []


class Outcome(NamedTuple):
    """How it ended."""

    holds: bool
    waited: float
    """Seconds."""
    found: tuple[Any, ...]
    """The records of which the condition speaks."""
    problems: tuple[str, ...]
    """Why it may be otherwise, where it does not hold."""
    ended: int | None = None
    """The process whose end made waiting pointless."""
    unknown: tuple[str, ...] = ()
    """Which interfaces that the condition names there are not, a line each."""


def wait(
    condition: Condition,
    where: Where,
    timeout: float,
    *,
    negated: bool = False,
    process: int | None = None,
) -> Outcome:
    """Waits until the condition holds, or with ``negated`` does not hold, for ``timeout`` seconds at most.

    With several namespaces it holds where it holds in one of them. ``process``: when that process has ended, one last
    look is all that is done. Raises NetinspectError where it cannot be looked at.
    """
    watch = _Watch(condition, where, process)
    ended = False

    def look() -> Observation:
        nonlocal ended
        ended = watch.process_ended()
        return condition.look(where.places())

    def holds(seen: Observation) -> bool:
        # What could not be looked at may be what must not be. Without waiting an interface that there is not is a
        # mistake: nothing can be reported of it.
        if negated:
            return not (seen.found or seen.problems or (seen.unknown and timeout <= 0))
        return bool(seen.found)

    try:
        # Listening before the first look: what changes in between is heard.
        watch.begin()
        longest = condition.pause if watch.listening else LONGEST_PAUSE
        seen, waited = until(look, lambda seen: ended or holds(seen), timeout, watch.pause, longest)
    finally:
        watch.close()
    held = holds(seen)
    unknown = tuple(f"no interface {name!r}" for name in seen.unknown)
    problems = (*unknown, *seen.problems) if negated else seen.problems
    return Outcome(held, waited, seen.found, () if held else problems, process if ended else None, unknown)


class _Watch:
    """What may wake a wait: the kernel's events, and the end of a process."""

    def __init__(self, condition: Condition, where: Where, process: int | None) -> None:
        self._condition = condition
        self._where = where
        self._process = process
        self._subscriptions: dict[int, Subscription] = {}
        self._handle: int | None = None
        self._gone = False
        self._poll = poll()
        self.listening = False
        """Whether the kernel reports all relevant changes."""

    def begin(self) -> None:
        """Begins to listen, as far as that is permitted: else there is only looking."""
        if self._process is not None:
            try:
                self._handle = os.pidfd_open(self._process)
                self._poll.register(self._handle, POLLIN)
            except ProcessLookupError:
                self._gone = True
        if self._where.everywhere:
            return  # namespaces come and go
        self.listening = True
        for place in self._where.places():
            with place:
                for protocol, groups in self._condition.events.items():
                    try:
                        heard = Subscription(place.connect(protocol), groups, _BUFFER, "watching for changes")
                    except NetlinkError:
                        self.listening = False
                        continue
                    self._subscriptions[heard.fileno()] = heard
                    self._poll.register(heard.fileno(), POLLIN)

    def process_ended(self) -> bool:
        """Whether the process has ended."""
        return self._gone

    def pause(self, seconds: float) -> bool:
        """Waits so long, or until something happens."""
        # Rounded up, so that it does not look again and again in the last millisecond.
        ready = self._poll.poll(-int(-seconds * 1000 // 1) if seconds < 1e6 else None)
        for descriptor, _ in ready:
            if descriptor == self._handle:
                self._gone = True
                self._poll.unregister(descriptor)
            else:
                self._drain(descriptor)
        return bool(ready)

    def _drain(self, descriptor: int) -> None:
        try:
            for _ in self._subscriptions[descriptor].pending():
                pass  # what it was does not matter: the table is looked at
        except NetlinkError:
            # No more events: poll often instead.
            self._poll.unregister(descriptor)
            self._subscriptions.pop(descriptor).close()

    def close(self) -> None:
        """Ends it."""
        for subscription in self._subscriptions.values():
            subscription.close()
        if self._handle is not None:
            os.close(self._handle)
