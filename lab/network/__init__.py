"""The network that hosts see: an internet, a VPC whose rules are those that the API tells, and a client outside."""
