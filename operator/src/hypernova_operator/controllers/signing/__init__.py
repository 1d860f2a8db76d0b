"""Certificates between Hypernova's own processes: the authority, who gets one, and who is told whom to trust."""
