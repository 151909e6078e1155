"""The network of the hosts: an internet, a VPC with the routes and rules that the API holds, and a client outside."""
