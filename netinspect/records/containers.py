"""Containers, as their engines and Kubernetes tell of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class PublishedPort(NamedTuple):
    """A port of this machine that leads into a container."""

    protocol: Annotated[str, "tcp, udp or sctp"]
    address: Annotated[str | None, "address that it is published at; None is every one"]
    port: Annotated[int, "port of this machine"]
    container_port: Annotated[int, "port inside"]


class Container(NamedTuple):
    """A container that runs. All names are set by whoever started it, so not to be trusted."""

    id: Annotated[str, "its id, 64 hexadecimal digits, as its cgroup has it; of a pod itself `pod` and its id"]
    name: Annotated[str, "its name; of a Kubernetes container its name within the pod; empty for a pod itself"]
    pod: Annotated[str | None, "name of the pod that it is in"] = None
    pod_namespace: Annotated[str | None, "Kubernetes namespace of that pod"] = None
    ports: Annotated[tuple[PublishedPort, ...], "published ports"] = ()
    addresses: Annotated[tuple[str, ...], "addresses that its engine gave it"] = ()

    @property
    def title(self) -> str:
        """The name that tells it from others: ``web``, or of Kubernetes ``default/web-7d9f/nginx``."""
        if self.pod_namespace is None:
            return self.name
        return f"{self.pod_namespace}/{self.pod}/{self.name}" if self.name else f"{self.pod_namespace}/{self.pod}"

    @property
    def pod_title(self) -> str | None:
        """Its pod's name with its Kubernetes namespace: ``default/web-7d9f``."""
        return self.pod if self.pod_namespace is None else f"{self.pod_namespace}/{self.pod}"
