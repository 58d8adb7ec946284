"""What people wish for, one function a wish. Each takes a session (or a database) and `now`; none commits."""
