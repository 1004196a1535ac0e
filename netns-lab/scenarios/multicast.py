"""Multicast: ten datagrams in each family to the group that the members have joined; who wants them reads them."""

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
        for reader in readers:
            with reader:
                traffic.count("datagrams received", sum(1 for _ in received(reader)))


def open_reader(family, group):
    # The socket only listens: the memberships, with their source filters, belong to the lab. Bound to the group, it
    # takes what the interface lets through: a membership of any socket counts (ip(7): IP_MULTICAST_ALL).
    reader = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reader.bind((group, PORT))
    reader.setblocking(False)
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


def received(reader):
    while True:
        try:
            yield reader.recv(2048)
        except BlockingIOError:
            return
