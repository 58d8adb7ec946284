"""A mail server for development and tests that keeps what it gets: `SmtpSink`, `python -m carecircle_email.testing`.

It plays the provider, and misbehaves on demand: refusals at any step, silence, closed connections, trickled replies.
"""

from __future__ import annotations

from carecircle_email.testing.faults import Act, Fault, Point
from carecircle_email.testing.messages import Message
from carecircle_email.testing.sink import SmtpSink

__all__ = ["Act", "Fault", "Message", "Point", "SmtpSink"]
