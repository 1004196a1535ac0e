"""``python -m netinspect``."""

from .main import main

main()
