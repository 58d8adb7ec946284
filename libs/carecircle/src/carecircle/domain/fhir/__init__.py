"""Schedules, medications and answers as FHIR R4 and R5 resources, and MedicationRequests of others as ours. Pure."""
