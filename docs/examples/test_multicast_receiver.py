"""Does a receiver join its group for the one source it trusts? And does a small MTU on the way get noticed?"""

import socket
import struct

GROUP = "239.7.7.7"
MCAST_JOIN_SOURCE_GROUP = 46  # linux/in.h; Python's socket module does not have it


def trusting_receiver(interface, source):
    """The code under test: a socket that receives the group from that source only."""

    def address(text):
        return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(text)).ljust(128, b"\0")

    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((GROUP, 7000))
    request = struct.pack("@I4x", socket.if_nametoindex(interface)) + address(GROUP) + address(source)
    receiver.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, request)
    receiver.settimeout(5)
    return receiver


def test_the_receiver_joins_for_its_source_only(lab):
    net = lab("multicast")
    sender = net.sender.ipv4
    with net.m1.call(lambda: trusting_receiver("eth0", sender)) as receiver:
        membership = net.m1.assert_member(GROUP, interface="eth0", source=sender)
        assert membership.included == (sender,)

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sender))
                opened.sendto(b"hello", (GROUP, 7000))

        net.sender.call(send)
        assert receiver.recv(100) == b"hello"


def test_a_small_mtu_on_the_way_is_learnt(lab):
    net = lab("pmtu")
    net.client.assert_route(net.server.ipv4, via="10.1.0.1")
    print(net.traffic("bulk"))
    net.client.assert_route(net.server.ipv4, via="10.1.0.1", mtu=1400)
    net.client.assert_route(net.server.ipv6, mtu=1400)
