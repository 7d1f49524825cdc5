"""How many dimensions the members fill, and who opens new ones."""
