"""How commands are launched: their messages, processes on this machine, and how they end."""

from chromatic_descent.launch.resolvers import register_resolvers

register_resolvers()  # here, since the processes of a sweep import this room but call no entry
