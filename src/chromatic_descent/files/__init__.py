"""Files that exist whole or not at all, and that are only ever read as data."""
