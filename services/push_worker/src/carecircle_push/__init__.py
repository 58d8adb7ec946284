"""The push channel: Web Push delivery of reminders."""
