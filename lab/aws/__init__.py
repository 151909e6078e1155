"""The AWS that lives in the lab: its API (moto), identities, Run Command and instance metadata."""
