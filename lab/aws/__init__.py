"""The lab's AWS: its API (moto), the hosts' credentials and permissions, Run Command and instance metadata."""
