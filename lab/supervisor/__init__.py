"""The one process that owns the lab: first in namespaces of its own, so that everything ends when it does."""
