"""What will a change do? Which files, hosts and resources it changes, and what it costs, before it is made."""
