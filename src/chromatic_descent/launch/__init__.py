"""How commands are launched: their messages, processes on this machine, and how they end."""
