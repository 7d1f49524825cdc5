"""A study on disk: where its members are, which are complete, and which process works on each."""

from chromatic_descent.study.manifest import Manifest
from chromatic_descent.study.names import check_study_name, member_name, printable, study_folder
from chromatic_descent.study.population import find_study, studies
from chromatic_descent.study.study import Member, MemberBusyError, Status, Study, claim

__all__ = ["Manifest"]
__all__ += ["check_study_name", "member_name", "printable", "study_folder"]
__all__ += ["find_study", "studies"]
__all__ += ["Member", "MemberBusyError", "Status", "Study", "claim"]
