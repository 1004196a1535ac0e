"""Other programs: which command here shows what they show, and what stands around a command on their command lines."""

from __future__ import annotations

import os

_WORDS = {
    "sockets": "ss socket sock sockstat lsof tcp udp unix listen listening connections",
    "routes": "route r ro fib nexthop",
    "links": "link l li interface interfaces iface ifconfig device devices dev ethtool int mii-tool brctl bridges "
    "nmcli networkctl iwconfig tunnel",
    "links --kind vrf": "vrf",
    "links --kind vlan": "vlan",
    "links --kind macsec": "macsec",
    "links --rates 1": "sar ifstat vnstat",
    "neighbours tables": "ntable",
    "sockets --mptcp": "mptcp",
    "sockets -tlp --all-netns": "docker podman kubectl crictl nerdctl",
    "links --statistics": "netdev",
    "top": "iftop nethogs iptraf iptraf-ng bmon nload bandwhich iotop htop",
    "sockets -ap": "ps fuser pidof pgrep",
    "addresses": "address addr addrs adr a ips hostname",
    "neighbours": "neighbour neighbor neighbors neigh n arp ndp",
    "conntrack": "ct flows flow nf_conntrack connection-tracking",
    "nat": "masquerade masq snat dnat translations",
    "groups": "group multicast igmp mld maddr maddress",
    "groups routes": "mroute mrouting",
    "groups bridge": "mdb",
    "path": "trace traceroute traceroute6 tracepath mtr ping ping6 nc ncat netcat telnet curl wget nmap socat",
    "drops account": "qdisc tc class",
    "rules": "rule ru",
    "conntrack events": "tcpdump tshark wireshark sniff capture packets",
    "sockets --all-netns": "netns namespace namespaces nsenter lsns",
    "capabilities": "capability caps features sysctl kernel",
    "drops": "drop dropwatch dropped",
    "stats": "stat statistics nstat counters snmp mib lnstat rtstat ctstat rtacct",
    "lab": "labs",
    "completion": "completions complete",
    "help --man": "man manual",
    "nat diagnose": "diag diagnose diagnosis doctor check iptables iptables-save ip6tables ip6tables-save nft nftables "
    "firewall firewall-cmd ufw ipset conntrackd",
    "snapshot": "save dump",
    "explain": "describe what",
    "routes get": "lookup",
    "routes cache": "tcp_metrics",
    "routes --watch": "monitor rtmon",
}
"""What others call what these commands show (ss(8), ip(8), ifconfig(8), nstat(8) …)."""
MEANT = {word: command for command, words in _WORDS.items() for word in words.split()}
_NOT_HERE = {
    "netinspect lists no rules of a firewall, but finds those that stand in the way": "iptables iptables-save "
    "ip6tables ip6tables-save nft nftables firewall firewall-cmd ufw ipset",
    "netinspect captures no packets, but hears of flows and of what is dropped": "tcpdump tshark wireshark sniff "
    "capture packets",
    "netinspect sends nothing, but follows the path that a packet would take": "ping ping6 traceroute traceroute6 "
    "tracepath mtr nc ncat netcat telnet curl wget nmap socat",
    "netinspect lists no containers, but what they listen on": "docker podman kubectl crictl nerdctl",
    "netinspect has nothing of this object of ip(8)": "token ila sr seg6 l2tp fou ioam netconf tuntap addrlabel",
    "netinspect lists no queueing disciplines, but what they drop": "tc qdisc class",
    "netinspect lists no processes, but the sockets that they hold": "ps pidof pgrep",
    "netinspect changes nothing": "ifup ifdown dhclient vconfig kill killall pkill tcpkill",
    "netinspect lists no forwarding tables of bridges (`bridge fdb` does)": "fdb",
    "netinspect lists no filters of VLANs (`bridge vlan` does)": "bridge-vlan",
    "netinspect asks no name server": "dig nslookup host whois resolvectl drill",
    "netinspect lists no policies of IPsec (`ip xfrm policy` does)": "xfrm ipsec",
}
"""What other programs do and this one does not, though something here may serve as well."""
INSTEAD = {word: said for said, words in _NOT_HERE.items() for word in words.split()}
OF_NETSTAT = {
    "-r": "routes",
    "-rn": "routes -n",
    "-nr": "routes -n",
    "-g": "groups",
    "-gn": "groups",
    "-ng": "groups",
    "-c": "sockets --watch 1",
    "-f": "sockets --watch 1",
}
"""Options of netstat(8) that ss(8) has not, alone."""
_TABLES = {
    **dict.fromkeys(("tcp", "tcp6"), "sockets -ta"),
    **dict.fromkeys(("udp", "udp6"), "sockets -ua"),
    **dict.fromkeys(("udplite", "udplite6"), "sockets -Ua"),
    **dict.fromkeys(("raw", "raw6"), "sockets -wa"),
    "unix": "sockets -xa",
    "packet": "sockets -0a",
    "netlink": "sockets --netlink -a",
    "sockstat": "sockets -s",
    "route": "routes",
    "ipv6_route": "routes -6",
    "fib_trie": "routes --table all",
    "rt_cache": "routes cache",
    "dev": "links --statistics",
    "if_inet6": "addresses -6",
    "arp": "neighbours",
    "nf_conntrack": "conntrack",
    **dict.fromkeys(("snmp", "snmp6", "netstat"), "stats"),
    **dict.fromkeys(("igmp", "igmp6", "dev_mcast"), "groups"),
    **dict.fromkeys(("ip_mr_cache", "ip6_mr_cache"), "groups routes"),
}
"""Files in /proc/net, and what lists the same."""
_READERS = ("cat", "less", "more", "head", "tail", "grep", "awk", "watch")
_AROUND = ("sudo", "doas", "time", "strace", "env")


def unwrapped(words: list[str]) -> tuple[list[str], list[str]]:
    """The command that another one would run, and the options that stand for what that one does."""
    table = next((word for word in words if word.startswith("/proc/") and "/net/" in word), "")
    if table and (words[0] in _READERS or words[0] == table):
        return _TABLES.get(os.path.basename(table), "").split(), []
    if words[0] in _AROUND:
        return words[1:], []
    if words[0] == "watch":  # watch(1): -n SECONDS
        rest = words[1:]
        seconds = "1"
        while rest and rest[0].startswith("-"):
            option = rest.pop(0)
            if option.startswith("-n"):
                seconds = option[2:] or (rest.pop(0) if rest else "1")
        return rest, ["--watch", seconds]
    if words[0] == "nstat" and "-z" in words:  # what is 0 is shown here in any case
        return [word for word in words if word != "-z"], []
    if words[0] == "fuser" and "-n" in words[:-2]:  # fuser(1): -n tcp 80 is 80/tcp
        at = words.index("-n")
        return [*words[:at], f"{words[at + 2]}/{words[at + 1]}", *words[at + 3 :]], []
    if words[0] == "nsenter":
        return _of_nsenter(words[1:])
    if words[0] == "ip":
        rest, options = of_ip(words)
        every = "--all-netns" in options
        if rest[:2] == ["netns", "exec"] and len(rest) > (2 if every else 3):
            return (rest[2:], ["--all-netns"]) if every else (rest[3:], ["-N", rest[2]])
    return words, []


def _of_nsenter(rest: list[str]) -> tuple[list[str], list[str]]:
    """nsenter(1): the target's namespaces."""
    where = ""
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-t", "--target") and rest:
            where = rest.pop(0)
        elif option.startswith(("-t", "--target=", "--net=", "-n/", "-n=")):
            where = option.partition("=")[2] or option[2:]
    return (rest, ["-N", where]) if where else (["nsenter", *rest] if rest else [], [])


_IP_OPTIONS = {
    "netns": "--netns",
    "n": "--netns",
    "family": "FAMILY",
    "f": "FAMILY",
    "json": "--json",
    "j": "--json",
    "statistics": "--statistics",
    "stats": "--statistics",
    "s": "--statistics",
    "ss": "--statistics",
    "all": "--all-netns",
    "a": "--all-netns",
    "4": "-4",
    "6": "-6",
}
"""Options of ip(8) in front of its objects, and what stands for them here."""
_IP_VALUED = frozenset(("netns", "n", "family", "f", "loops", "l", "rcvbuf", "rc", "batch", "b"))
_FAMILY = {"inet": ["-4"], "inet6": ["-6"]}


def of_ip(words: list[str]) -> tuple[list[str], list[str]]:
    """A command line of ip(8) or bridge(8) from its object on, and the options here for those in front of it."""
    if words[0] not in ("ip", "bridge", "ifconfig"):
        return words, []
    name, *rest = words
    options: list[str] = []
    while rest and rest[0].startswith("-"):
        option = rest.pop(0).lstrip("-")
        ours = _IP_OPTIONS.get(option, "")
        value = rest.pop(0) if option in _IP_VALUED and rest else ""
        if ours == "FAMILY":
            options += _FAMILY.get(value, [])
        elif ours == "--netns":
            options += ["-N", value]
        elif ours and ours not in options:
            options.append(ours)
    if name == "ifconfig":
        return ["links", *rest], [option for option in options if option == "--statistics"]
    return rest, options


def of_lsof(words: list[str]) -> list[str]:
    """lsof(8): a protocol, an address and a port behind -i, states behind -s, users, processes and their names."""
    found: list[str] = []
    said: list[str] = []
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        if word.startswith("-s") and ":" in word:
            states = word.partition(":")[2].lower().replace("_", "-")
            found += ["-l"] if states == "listen" else ["--state", states]
        elif word in ("-u", "-p", "-c") and rest:
            found += [{"-u": "--user", "-p": "--pid", "-c": "--process"}[word], rest.pop(0)]
        elif word[:1] == "-" != word[1:2]:
            letters, i, end = word[1:].partition("i")
            found += ["-x"] if "U" in letters else []
            found += ["-p"] if "t" in letters else []
            if i and not end and rest and not rest[0].startswith("-"):
                end = rest.pop(0)
            _internet(end, found, said)
        elif not word.startswith("-"):
            said.append(word)
    filters = [f"({each})" if " or " in each and len(said) > 1 else each for each in said]
    return ["sockets", *dict.fromkeys(found), *([" and ".join(filters)] if filters else [])]


def _internet(end: str, found: list[str], said: list[str]) -> None:
    """[46][protocol][@host][:port]"""
    if end[:1] in ("4", "6"):
        found.append(f"-{end[0]}")
        end = end[1:]
    protocol, colon, port = end.partition(":")
    protocol, at, host = protocol.partition("@")
    if protocol.lower() in ("tcp", "udp"):
        found.append(f"-{protocol[0].lower()}")
    if at and colon:
        said.append(f"src {host}:{port} or dst {host}:{port}")
    elif at:
        said.append(f"src {host} or dst {host}")
    elif colon:
        said.append(f"sport = :{port} or dport = :{port}")
