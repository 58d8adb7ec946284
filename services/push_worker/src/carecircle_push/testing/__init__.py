"""A push service and its browsers for development and tests: `PushSink`, or `python -m carecircle_push.testing`.

It checks what real services check, decrypts as a browser would, shows what it got, and misbehaves on demand.
"""

from __future__ import annotations

from carecircle_push.testing.browser import Browser
from carecircle_push.testing.faults import Act, PushFault
from carecircle_push.testing.messages import Message
from carecircle_push.testing.sink import PushSink

__all__ = ["Act", "Browser", "Message", "PushFault", "PushSink"]
