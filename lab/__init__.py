"""Where the estate runs for free: AWS, its engine and its hosts on one Linux machine."""
