"""The e-mail channel: SMTP delivery of reminders."""
