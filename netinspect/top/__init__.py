"""``netinspect top``: what sockets carry, sampled."""
