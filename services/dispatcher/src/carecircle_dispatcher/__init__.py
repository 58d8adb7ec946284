"""Plans doses, decides who is told, and heals what got lost."""
