"""Rules in the language of nft(8), read by that program on a host: the one program that a lab may need."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from .errors import LabError

if TYPE_CHECKING:
    from .lab import Host

_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
"""Where it is; an ordinary user's PATH often lacks these."""
_PATIENCE = 20.0


def run_nft(host: Host, text: str) -> None:
    """Has nft read that on the host. Raises LabError where it is not installed, or refuses."""
    _output(host, text, "-f", "-")


def listed_by_nft(host: Host) -> str:
    """The host's ruleset, as nft reads it again. Raises LabError where it is not installed."""
    return _output(host, "", "list", "ruleset")


def _output(host: Host, text: str, *arguments: str) -> str:
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None:
        raise LabError(f"host {host.name}: its rules need the program nft (package nftables)")
    try:
        done = host.run(program, *arguments, input=text, check=False, timeout=_PATIENCE)
    except AssertionError as error:
        raise LabError(str(error)) from None
    if done.returncode != 0:
        # Its first line has the place and what is wrong; the others repeat the rule and underline a part of it.
        raise LabError(f"host {host.name}: nft: {done.stderr.partition(chr(10))[0] or f'status {done.returncode}'}")
    output: str = done.stdout
    return output
