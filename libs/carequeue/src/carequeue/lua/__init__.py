"""The Lua scripts of the queue, written for what must be true on the wire; see `loader`."""
