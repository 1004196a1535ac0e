"""``array``, loaded without the package collections.

When it is loaded, the module array registers its type in collections.abc, for the sake of which the whole package
collections is loaded: 2 ms of the 10 in which a short listing is due. All that is wanted of it is in _collections_abc,
which every Python has loaded from the start, and which stands in for it here. A program that has threads, and so might
notice, has the package loaded anyway.
"""

from __future__ import annotations

import sys

if "collections" in sys.modules:
    from array import array
else:
    import _collections_abc

    sys.modules["collections"] = sys.modules["collections.abc"] = _collections_abc
    try:
        from array import array
    finally:
        del sys.modules["collections"], sys.modules["collections.abc"]

__all__ = ["array"]
