"""`ha`: arguments in, text or JSON out. Only this package chooses between AWS and the lab."""
