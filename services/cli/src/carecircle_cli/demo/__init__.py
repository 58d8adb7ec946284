"""The demo circle, made over REST as a mobile app would. Used by `carecircle up` and `carecircle demo`."""
