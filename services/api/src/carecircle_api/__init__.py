"""The REST API of CareCircle Reminders."""
