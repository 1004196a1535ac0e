"""Multicast: ten datagrams in each family to the group that the members have joined; who wants them reads them."""

import itertools
import socket

NEEDS = ("sender", "members")
PACKETS = 1_000
SECONDS = 10

GROUPS = {4: "239.1.1.1", 6: "ff15::1:1"}
DATAGRAMS = 10
PORT = 5000


def play(traffic):
    sender = traffic.host("sender")
    for family, group in GROUPS.items():
        readers = [
            member.call(lambda family=family, group=group: open_reader(family, group))
            for member in traffic.hosts("members")
        ]
        with sender.call(lambda family=family: open_sender(family)) as opened:
            for number in range(DATAGRAMS):
                opened.sendto(b"to all %d" % number, (group, PORT))
                traffic.count("datagrams")
        for member, reader in zip(traffic.hosts("members"), readers, strict=True):
            with reader:
                wanted = DATAGRAMS if wants(traffic, member, group, sender.address(family)) else 0
                traffic.count("datagrams received", sum(1 for _ in received(traffic, reader, wanted)))


def open_reader(family, group):
    # The socket only listens: the memberships, with their source filters, belong to the lab. Bound to the group, it
    # takes what the interface lets through: a membership of any socket counts (ip(7): IP_MULTICAST_ALL).
    reader = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reader.bind((group, PORT))
    return reader


def open_sender(family):
    if family == 4:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("eth0")
        # struct ip_mreqn: no group, no address, the interface's index.
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + index.to_bytes(4, "little"))
    else:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    return opened


def wants(traffic, member, group, source):
    """Whether a membership of the topology lets in what comes from that source."""
    spec = traffic.lab.topology.hosts.get(member.name)
    joins = [join for join in spec.joins if join.group == group] if spec else []
    return any((source in join.sources) == (join.mode == "include") for join in joins)


def received(traffic, reader, wanted):
    """What has come. As many as are wanted are waited for: the kernel may take its time to deliver them."""
    for number in itertools.count(1):
        reader.settimeout(min(1.0, traffic.remaining) if number <= wanted else 0)
        try:
            yield reader.recv(2048)
        except (BlockingIOError, TimeoutError):
            return
