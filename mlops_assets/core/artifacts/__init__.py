"""Model files: written whole, named by content, signed, and read without trust."""
