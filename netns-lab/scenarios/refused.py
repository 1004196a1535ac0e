"""Refused: three TCP connections in each family to a port where nobody listens; each is answered by a reset."""

NEEDS = ("client", "server")
PACKETS = 200
SECONDS = 10

ATTEMPTS = 3


def play(traffic):
    for _, _, address in traffic.families():
        with traffic.listen(traffic.host("server"), address) as listener:
            there = listener.getsockname()
        for _ in range(ATTEMPTS):
            try:
                traffic.connect(traffic.host("client"), there)
            except ConnectionRefusedError:
                traffic.count("refused connections")
