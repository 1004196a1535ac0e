"""Run by the script netinspect, as a file and without the module site: short, since Python compiles it each time."""

from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal

if getsignal(SIGINT) is default_int_handler:  # until signals are handled: see scripts/netinspect-python
    signal(SIGINT, SIG_DFL)

import sys

try:
    sys.path[0] = __file__.rsplit("/", 2)[0]
    from netinspect.bytecode import start

    start()
    del sys.path[0]

    from netinspect.main import main
except (MemoryError, OSError) as error:  # too little memory, or too few files may be open
    sys.exit(f"netinspect: cannot start: {str(error) or 'out of memory'}")

main()
