"""The process that owns the lab. It is the first in its own namespaces: when it ends, the kernel ends all others."""
