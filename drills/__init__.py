"""Does it hold? Injects faults into a running estate under load, and compares what happens with the promises."""
