"""The rules, without I/O: everything comes in as an argument, `now` too."""
