"""`carecircle up`: the whole system on this machine, as supervised child processes."""
