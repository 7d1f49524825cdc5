import pytest

from chromatic_descent.errors import UserError
from chromatic_descent.study import check_study_name, member_name


@pytest.mark.parametrize(
    ("seed", "suffix", "name"),
    [
        (0, "", "SEED_0000"),
        (12345, "", "SEED_12345"),
        (1, "optim.optimizer.lr=0.1", "SEED_0001-optim.optimizer.lr_0.1"),
        (1, "model.widths=[16,64],a=../x", "SEED_0001-model.widths_16-64-a_..-x"),
    ],
)
def test_member_names_are_plain_folder_names(seed, suffix, name):
    assert member_name(seed, suffix) == name


def test_long_suffixes_are_cut_and_stay_distinct():
    names = {member_name(0, "k=" + "v" * 300 + end) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) < 140 for name in names)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/abs", ".hidden", "a b", "a\nb"])
def test_study_names_cannot_leave_their_folder(name):
    with pytest.raises(UserError, match="expected a plain folder name"):
        check_study_name(name)
