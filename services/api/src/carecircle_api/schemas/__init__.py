"""Bodies and answers, one noun a file. What comes in is strict; what goes out is named field by field."""
