"""`carecircle doctor`: looks at everything that the system leans on and says what to do about it. Changes nothing."""
