"""Keys in the artifact bucket of what proved, by a restore, that a backup can be restored."""

PROOFS_PREFIX = "proofs/"
NEWEST_PROOF_KEY = f"{PROOFS_PREFIX}newest.json"
"""A copy of the newest one: the monitor may read this object, and cannot list the others."""
