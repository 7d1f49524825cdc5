"""The report at the end of a launch: which members did not finish, and how to continue."""

from chromatic_descent.launch import command_line
from chromatic_descent.launch.callbacks import ReportFailures


def explain(error: BaseException) -> str | None:
    """The message to end a launch with; None for an error that needs its traceback.

    For a sweep, or anything that was stopped, it lists the members that did not finish; those that
    failed have logged their tracebacks.
    """
    launch = ReportFailures.launch
    stopped = isinstance(error, KeyboardInterrupt)
    if launch is None or not (launch.is_sweep or stopped):
        return command_line.explain(error)
    members = launch.study.members()
    unfinished = [member.explain() for member in members if member.status != "complete"]
    done = f"{launch.study.path}: {len(members) - len(unfinished)} of {len(members)} complete."
    if stopped:
        advice = f"The same command with {launch.overrides} continues from there."
        return "\n  ".join([f"Interrupted. {done}", *unfinished, advice])
    if not unfinished:
        return command_line.explain(error)
    reason = command_line.message(error)
    is_listed = reason.partition("\n")[0] in "\n".join(unfinished)
    return "\n  ".join([done, *unfinished]) + ("" if is_listed else f"\n{reason}")
