"""Hosts that follow the API: one systemd container each, on an overlay over the image, with its volumes."""
