"""Asking, and what an answer or a refusal says of a feature."""

from __future__ import annotations

import os
from errno import (
    EACCES,
    EAFNOSUPPORT,
    EINVAL,
    ENOENT,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    EPFNOSUPPORT,
    EPROTONOSUPPORT,
)
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import procfs
from ...engine.files import read
from ...engine.netlink.transport import Dump
from ...errors import FileError, NetlinkError
from ...records import Capability
from ...uapi.netlink import NETLINK_ADD_MEMBERSHIP, SOL_NETLINK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.netlink.messages import Run
    from ...engine.netlink.transport import Connect

YES, NO, PARTIAL, UNKNOWN = "yes", "no", "partial", "unknown"

REFUSED = frozenset((EPERM, EACCES))
LACKING = frozenset((ENOENT, EINVAL, EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT, EPFNOSUPPORT, ENOPROTOOPT))
"""Errors of netlink for a missing handler: sock_diag ENOENT, nfnetlink EINVAL, rtnetlink EOPNOTSUPP."""
UNCLEAR = -1
"""In place of an error number: the result is inconclusive."""

PRIVILEGE = "run as root, or with CAP_NET_ADMIN in the user namespace that owns this network namespace"


class Feature(NamedTuple):
    """Something that a view shows, what is lost without it, and what it takes: a module and option, or a release."""

    view: str
    name: str
    lost: str
    module: str = ""
    option: str = ""
    since: str = ""

    def has(self, state: str, evidence: str, lost: str | None = None, remedy: str | None = None) -> Capability:
        """The capability, as it was found."""
        return Capability(self.view, self.name, state, evidence, lost, remedy)


class Answer(NamedTuple):
    """What came of a probe: an error number or 0, its text, and what was read from the first messages, if any came."""

    errno: int
    text: str
    value: Any = None


class Prober:
    """Asks the kernel. ``connect`` opens the netlink sockets."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def ask(self, protocol: int, request: bytes, read: Callable[[Run], Any] = bool) -> Answer:
        """Sends a request and reads the first part of the answer by ``read``, which may raise NetlinkError."""
        try:
            run = next(iter(Dump(self._connect(protocol), request, "probe")), None)
            return Answer(0, "answered", None if run is None else read(run))
        except NetlinkError as error:
            return Answer(error.errno or UNCLEAR, str(error).removeprefix("probe: "))

    def join(self, protocol: int, group: int) -> Answer:
        """Whether a multicast group of a netlink protocol may be joined; it is left at once."""
        try:
            opened = self._connect(protocol)
        except NetlinkError as error:
            return Answer(error.errno or UNCLEAR, str(error))
        try:
            opened.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
            return Answer(0, "joined")
        except OSError as error:
            return Answer(error.errno or UNCLEAR, error.strerror or str(error))
        finally:
            opened.close()

    def result(self, feature: Feature, answer: Answer, asked: str) -> Capability:
        """The capability that follows from an answer."""
        evidence = f"{asked}: {answer.text}"
        if answer.errno == 0:
            return feature.has(YES, evidence)
        if answer.errno in REFUSED:
            return feature.has(NO, evidence, feature.lost, PRIVILEGE)
        if answer.errno in LACKING:
            return feature.has(NO, evidence + self._as_built(feature), feature.lost, self._remedy(feature))
        return feature.has(UNKNOWN, evidence, feature.lost, "try again; see the kernel's log (dmesg)")

    def lacks(self, feature: Feature, asked: str, seen: str) -> Capability:
        """The capability where the kernel did answer, and the answer shows that it lacks the feature."""
        return self.result(feature, Answer(EOPNOTSUPP, seen), asked)

    @cached_property
    def _configuration(self) -> dict[str, str] | None:
        """Options that are set, to "y", "m" or a value; None where nothing shows how the kernel was built."""
        text = procfs.kernel_configuration()
        if text is None:
            try:
                text = read(f"/boot/config-{os.uname().release}").decode("utf-8", "replace")
            except FileError:
                return None
        lines = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
        return {name.removeprefix("CONFIG_"): value for name, _, value in lines}

    def _as_built(self, feature: Feature) -> str:
        if not feature.option or self._configuration is None:
            return ""
        value = self._configuration.get(feature.option)
        return f"; CONFIG_{feature.option}={value}" if value else f"; CONFIG_{feature.option} is not set"

    def _remedy(self, feature: Feature) -> str:
        """How to get what the kernel lacks, by what its configuration says of it."""
        newer = f"Linux {feature.since} or later" if feature.since else ""
        if not feature.option:
            return newer or "a newer kernel"
        option = f"CONFIG_{feature.option}"
        if self._configuration is None:
            kernel = f"a kernel with {option}" + (f" ({newer})" if newer else "")
            return f"`modprobe {feature.module}` as root, or {kernel}" if feature.module else kernel
        value = self._configuration.get(feature.option)
        if value == "m" and feature.module:
            return f"`modprobe {feature.module}` as root, outside of containers"
        if value:
            return newer or f"a newer kernel: {option} is set, but there was no answer"
        return f"another kernel: this one was built without {option}"
