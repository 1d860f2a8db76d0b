"""Consoles of this node's guests, for the console proxy: an HTTPS endpoint, and who shares what."""
