"""Filter expressions, as users of ss(8) know them: ``dport = :ssh or dst 10.0.0.0/8 and not sport >= 1024``.

The language::

    expression  = { ("state" | "exclude") STATE } [ condition ]
    condition   = every { ("or" | "|" | "||") every }
    every       = one { ["and" | "&" | "&&"] one }              two conditions side by side must both hold
    one         = ("not" | "!") one | "(" condition ")"
                | ("sport" | "dport") [ OPERATOR ] PORT         OPERATOR: = == eq, != ne neq, < lt, > gt,
                | ("src" | "dst") [ = | != ] HOST                         <= le leq, >= ge geq; none is =
                | "dev" [ = | != ] INTERFACE                    a name or an index; 0 is "not bound"
                | "fwmark" [ = | != ] MARK[/MASK]               decimal, or hexadecimal after 0x
                | "cgroup" [ = | != ] PATH                      of a cgroup v2, from its root or as a file name
                | "autobound"

    PORT        = [FAMILY:][:]( number | service name | * )         above 65535 in netlink, vsock and unix only
    HOST        = [FAMILY:]ADDRESS[:PORT], :PORT or *
    ADDRESS     = 10.1.2.3, 10.0.0.0/8, 10/8, [2001:db8::1], [2001:db8::]/32, ::1, a host's name
                  unix:PATTERN     fnmatch(3), upper and lower case alike; "/…" and "@…" need no "unix:"
                  netlink:NAME[:PORTID], link:PROTOCOL[:INTERFACE], vsock:CID[:PORT]: names or numbers

White space, parentheses, ``&`` and ``|`` end a value; a backslash takes away the meaning of the next character.

It is ss's language with these differences:

- ``and`` binds closer than ``or``, as ss's manual says; ss itself (6.1) reads "a or b and c" as "(a or b) and c".
- ``inet:`` and its like are part of that one condition; in ss the last one decides which families are listed at all.
- Parentheses and operators need no white space around them, ``!=`` works with addresses, and an IPv6 address needs
  no brackets where it stands alone: ``fe80::1:22`` is an address, not port 22.
- A condition that ss misreads is refused: ``dst 22`` (ss: 22.0.0.0) and ``dst 10.1`` (ss: 10.1.0.0).

``parse`` reads an expression; ``request_filter.compile_filter`` makes it the kernel's filter, and
``predicate`` a function on socket records, for the families that the kernel does not filter.
"""

from __future__ import annotations

from ...errors import FilterError
from .filter_conditions import Expression, leaves
from .filter_evaluate import predicate
from .filter_lookups import Lookups
from .filter_parse import parse
from .filter_states import STATE_NAMES, state_bits

__all__ = ["STATE_NAMES", "Expression", "FilterError", "Lookups", "leaves", "parse", "predicate", "state_bits"]
