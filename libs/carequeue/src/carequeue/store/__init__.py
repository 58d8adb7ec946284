"""Redis itself: connections that say when they are lost, and one typed method a script."""
