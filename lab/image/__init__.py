"""The root file systems that hosts start from: built once with mmdebstrap, kept in the cache, never changed."""
