"""Hosts that follow the API: systemd containers with an overlay each, their volumes, and who may reach into them."""
