"""Does it hold? Faults injected into a running estate under load, and what they did to its promises."""
