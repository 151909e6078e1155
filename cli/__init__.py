"""`ha`: arguments in, text or JSON out. It alone chooses between AWS and the lab."""
