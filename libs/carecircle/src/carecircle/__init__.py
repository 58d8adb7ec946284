"""People, medicines, doses and deliveries: the core of CareCircle Reminders."""
