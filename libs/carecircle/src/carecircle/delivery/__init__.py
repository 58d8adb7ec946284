"""The whole loop of a channel worker, and the texts it sends."""
