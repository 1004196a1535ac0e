"""What links carry: counters and rates."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class LinkStatistics(NamedTuple):
    """The counters of a link since it was made (linux/if_link.h: struct rtnl_link_stats64), 64 bits each."""

    rx_packets: Annotated[int, "packets received"]
    tx_packets: Annotated[int, "packets sent"]
    rx_bytes: Annotated[int, "bytes received"]
    tx_bytes: Annotated[int, "bytes sent"]
    rx_errors: Annotated[int, "packets received with an error: the sum of those of length, overrun, CRC and frame"]
    tx_errors: Annotated[
        int, "packets not sent because of an error: the sum of aborted, carrier, fifo, heartbeat and window"
    ]
    rx_dropped: Annotated[int, "packets received and dropped: no memory, or no protocol to receive them"]
    tx_dropped: Annotated[int, "packets dropped on output"]
    multicast: Annotated[int, "multicast packets received"]
    collisions: Annotated[int, "collisions during sending"]
    rx_length_errors: Annotated[int, "packets received with a wrong length"]
    rx_over_errors: Annotated[int, "packets lost because the receive ring was full"]
    rx_crc_errors: Annotated[int, "packets received with a wrong checksum"]
    rx_frame_errors: Annotated[int, "packets received with a frame alignment error"]
    rx_fifo_errors: Annotated[int, "packets lost because the receiver's buffer was full"]
    rx_missed_errors: Annotated[int, "packets missed because the host was too slow to fetch them"]
    tx_aborted_errors: Annotated[int, "packets whose transmission was aborted"]
    tx_carrier_errors: Annotated[int, "packets not sent because there was no carrier"]
    tx_fifo_errors: Annotated[int, "packets not sent because the transmit buffer ran empty"]
    tx_heartbeat_errors: Annotated[int, "packets sent without a heartbeat (half-duplex Ethernet)"]
    tx_window_errors: Annotated[int, "late collisions"]
    rx_compressed: Annotated[int, "compressed packets received"]
    tx_compressed: Annotated[int, "compressed packets sent"]
    rx_nohandler: Annotated[int | None, "packets received on a link that is not in use, as a backup slave"] = None
    rx_otherhost_dropped: Annotated[int | None, "packets dropped because they were for another host"] = None


class LinkRates(NamedTuple):
    """What a link carried a second, over an interval (`netinspect links --rates`)."""

    interval: Annotated[float, "seconds between the two readings of the counters"]
    rx_bits: Annotated[float, "bits/s received"]
    tx_bits: Annotated[float, "bits/s sent"]
    rx_packets: Annotated[float, "packets/s received"]
    tx_packets: Annotated[float, "packets/s sent"]
    rx_dropped: Annotated[float, "packets/s received and dropped"]
    tx_dropped: Annotated[float, "packets/s dropped on output"]
    rx_errors: Annotated[float, "packets/s received with an error"]
    tx_errors: Annotated[float, "packets/s not sent because of an error"]
