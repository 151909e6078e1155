"""Runs the estate for free on one Linux machine: AWS, the Pulumi engine, the network and the hosts."""
