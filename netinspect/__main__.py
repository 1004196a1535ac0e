"""``python -m netinspect``."""

from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal

if getsignal(SIGINT) is default_int_handler:  # until signals are handled: see scripts/netinspect
    signal(SIGINT, SIG_DFL)

from .bytecode import start

start()

from .main import main  # noqa: E402

main()
