"""Signals that end the program: SIGINT, SIGTERM, SIGHUP and SIGXCPU, and SIGPIPE of standard output.

A command that holds nothing ends at once, wherever it is: an exception could occur in a finalizer or in a half-loaded
module, where Python would print it. A command that holds something, such as an incomplete file or a lab, uses
``Holding``: there the signal raises ``Ended``, and cleanup code releases it.

SIGPIPE is ignored, as Python has it: a container engine or a child that has gone is an error like others, and costs
what it was asked for. Where standard output has no reader any more, the program ends by it after all.
"""

from __future__ import annotations

from _signal import ITIMER_REAL, SIG_IGN, SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGXCPU, getsignal, setitimer, signal
from posix import _exit, getpid, kill, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_ENDING = (SIGINT, SIGTERM, SIGHUP, SIGXCPU)
_BASE = 128
"""Shells report a signal as this plus its number in the exit status."""

_SOON, _LATER = 0.001, 0.01
"""Seconds."""

_held: list[bool] = []
"""For each part of the program that holds something: whether letting go of it must not be cut short."""
state = {"process": 0, "ended": 0, "deferring": 0, "deferred": 0}
unfinished: list[bytes] = []
"""What takes away the line that says what is waited for."""


class Ended(BaseException):
    """A signal has ended the program."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Holding:
    """A context in which the program holds something that must be released.

    A second signal ends the program at once, unless letting go is ``vital``: it is to be known to take a short time.
    """

    __slots__ = ("_vital",)

    def __init__(self, *, vital: bool = False) -> None:
        self._vital = vital

    def __enter__(self) -> None:
        _held.append(self._vital)

    def __exit__(self, *_: object) -> None:
        _held.pop()


def handle() -> None:
    """Sets the handlers, for the program alone: a library has no business with them."""
    import sys

    state["process"] = getpid()
    for number in _ENDING:
        # One that was ignored from the beginning stays so (nohup(1), commands that a shell runs in the background).
        if getsignal(number) is not SIG_IGN:
            signal(number, end)
    sys.unraisablehook = _again


def end_by_pipe() -> NoReturn:
    """Ends the program as SIGPIPE ends every C tool whose reader has seen enough (`| head`): quietly.

    What the program holds is let go of first.
    """
    from _signal import SIG_DFL, SIGPIPE

    if _held:
        raise Ended(SIGPIPE)
    try:
        signal(SIGPIPE, SIG_DFL)
        kill(getpid(), SIGPIPE)
    except ValueError:
        pass  # this is not the main thread
    _exit(_BASE + SIGPIPE)


def status_of(ended: Ended) -> int:
    """The exit status; says so where a person or a limit ended the program."""
    try:
        if unfinished:
            write(2, unfinished.pop())
        if ended.number == SIGINT:
            write(2, b"netinspect: interrupted\n")
        elif ended.number == SIGXCPU:
            write(2, b"netinspect: processor time is used up (ulimit -t)\n")
    except OSError:
        pass  # nobody is left to inform
    return _BASE + ended.number


def end(number: int, frame: object) -> None:
    if getpid() != state["process"]:  # a child that a command has made: its parent ends in order
        _exit(_BASE + number)
    if state["deferring"]:
        state["deferred"] = number
        return
    if _held and not state["ended"]:
        state["ended"] = number
        raise Ended(number)
    if not _held or not any(_held):
        _exit(status_of(Ended(number)))


def _late(number: int, frame: Any) -> None:
    while frame is not None:
        if frame.f_code is _again.__code__:
            setitimer(ITIMER_REAL, _LATER)
            return
        frame = frame.f_back
    ended, state["ended"] = state["ended"], 0
    if ended:
        end(ended, frame)


def _again(lost: Any) -> None:
    """Where the exception came up in a finalizer it is lost: it comes once more, when that is over.

    Not before: what comes up in here is lost as well. A timer's signal also ends a wait for the kernel.
    """
    if isinstance(lost.exc_value, Ended):
        signal(SIGALRM, _late)
        setitimer(ITIMER_REAL, _SOON)
        return
    import sys

    sys.__unraisablehook__(lost)
