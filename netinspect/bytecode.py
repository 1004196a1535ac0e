"""Starts the program from one file of bytecode, as far as there is one: scripts/build_bytecode.py makes it.

This module and the package itself are loaded before it is, the only ones that Python has to look for. So neither
imports ``annotations`` from __future__, which loads a module.
"""

import sys
from _thread import RLock

_lock = RLock()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start() -> None:
    """Modules of this package are loaded from the one file of their bytecode that the build made, if there is one.

    It is that of this Python, by its name and magic number, and a module is taken from it only while the size of its
    source is that of the source it was made of; in an editable installation the time of its change too. Whatever does
    not fit is loaded as ever.
    """
    import gc
    import posix
    from marshal import loads

    # Neither modules nor rows make reference cycles: a collection for every 700 new tuples finds nothing, at a fiftieth
    # of a short listing and 10 % of a long one.
    gc.set_threshold(100_000)
    if sys.flags.no_site:
        _without_site()
    importlib = sys.modules["_frozen_importlib_external"]
    directory = __file__.rpartition("/")[0]
    path = f"{directory}/bytecode.{sys.implementation.cache_tag}"

    def read(size: int, at: int) -> "tuple[bytes, tuple[int, int]]":
        """Bytes of the file, and which file it is: another one may come in its place while the program runs."""
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            status = posix.fstat(file)
            return posix.pread(file, size, at), (status.st_ino, status.st_mtime_ns)
        finally:
            posix.close(file)

    try:
        head, same = read(8, 0)
        if head[:4] != importlib.MAGIC_NUMBER or sys.flags.optimize:
            return
        size = int.from_bytes(head[4:], "little")
        index = loads(read(size, 8)[0])
        compiled = importlib._compile_bytecode  # a private name
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        return

    class Loader(importlib.SourceFileLoader):  # type: ignore[misc, name-defined]
        def get_code(self, name: str) -> "Any":
            at, length, *_ = index[name]
            code, file = read(length, 8 + size + at)
            return compiled(code, name, None, self.path) if file == same else super().get_code(name)

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> "Any":
            if name not in index:
                return None
            _, _, package, size, changed = index[name]
            origin = f"{root}{name.replace('.', '/')}{'/__init__' if package else ''}.py"
            try:
                status = posix.stat(origin)
            except OSError:
                return None
            if status.st_size != size or (changed and status.st_mtime_ns != changed):
                return None
            spec = make(name, Loader(name, origin), origin=origin, is_package=package)
            spec.has_location, spec.cached = True, path
            if package:
                spec.submodule_search_locations = [origin.rpartition("/")[0]]
            return spec

    root, make = directory.removesuffix("netinspect"), type(__spec__)
    sys.meta_path.insert(0, Finder)


def _without_site() -> None:
    """What the script netinspect goes without is done when it is first needed, and its name is the process's."""
    import posix

    sys.meta_path.append(sys.modules[__name__])
    try:
        file = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
    except OSError:
        return
    posix.write(file, b"netinspect")
    posix.close(file)


def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
    """A module that is not found without the module site: of a library, in the packages of this or another folder."""
    if path is not None:
        return None
    with _lock:
        if "site" not in sys.modules:
            import site

            site.main()
    return sys.modules["_frozen_importlib_external"].PathFinder.find_spec(name)
