"""A study on disk: where its members are, which are complete, and who is working on them."""

from chromatic_descent.study.study import (
    Member,
    MemberBusyError,
    Status,
    Study,
    check_study_name,
    claim,
    find_study,
    member_name,
    printable,
    studies,
    study_folder,
)

__all__ = [
    "Member",
    "MemberBusyError",
    "Status",
    "Study",
    "check_study_name",
    "claim",
    "find_study",
    "member_name",
    "printable",
    "studies",
    "study_folder",
]
