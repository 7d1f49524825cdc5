"""The kind of error that is the user's to mend."""

__all__ = ["ArtefactError", "UserError"]


class UserError(Exception):
    """A mistake that the user can mend: the command line prints its message and no traceback.

    The message names the key or file, what was found, what was expected, and what to do.
    """


class ArtefactError(UserError):
    """A probe artefact that cannot be used."""
