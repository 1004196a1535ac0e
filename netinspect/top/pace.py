"""Keys before samples: the thread that samples rests while a key is answered.

Both need the interpreter, which has one lock. An operation on 100,000 rows holds it for some 10 ms, and an answer needs
it a dozen times: so the answer would wait for as many operations.
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic, sleep

_ANSWER = 0.06
"""Seconds in which a key is answered: the screen is drawn at most 1/60 s after the key has been taken."""
_MOST = 0.4
"""Seconds that one sample rests at most: who holds a key down sees new samples all the same."""
_NAP = 0.01

_sampler = 0
_until = 0.0
_left = 0.0


def begin() -> None:
    """This thread begins a sample: it is the one that rests."""
    global _sampler, _left
    _sampler, _left = get_ident(), _MOST


def hurry() -> None:
    """There is a key to be answered."""
    global _until
    _until = monotonic() + _ANSWER


def rest() -> None:
    """Waits in the thread that samples while a key is being answered. To be called between long operations."""
    global _left
    if not _until or get_ident() != _sampler:
        return
    while _left > 0 and monotonic() < _until:
        sleep(_NAP)
        _left -= _NAP
