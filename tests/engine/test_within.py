"""Whether an address is in a prefix, against the module ipaddress."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.prefixes import packed, prefix, within

ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(ADDRESSES, ADDRESSES, st.data())
def test_within_agrees_with_ipaddress(address: Any, other: Any, data: st.DataObject) -> None:
    near = data.draw(st.sampled_from([other, address, type(address)(int(address) ^ 1)]))
    length = data.draw(st.integers(0, near.max_prefixlen))
    network = ipaddress.ip_network(f"{near}/{length}", strict=False)
    expected = network.version == address.version and address in network
    assert within(packed(str(address)), packed(str(near)), length) == expected
    assert within(packed(str(address)), *prefix(f"{near}/{length}")) == expected
    assert within(packed(str(address)), *prefix(str(near))) == (address == near)


@pytest.mark.parametrize("text", ["", "10.0.0", "::1::", "host", "10.0.0.1%eth0"])
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(OSError, match="illegal IP address"):
        packed(text)
