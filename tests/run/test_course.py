"""What comes next in a run is a value: loops tested by printing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.run.course import Course, Validation, by_epochs, by_iterations, reopened
from fkit.run.state import Position
from fkit.tree.error import FkitError, FkitValueError


def words(course, length, at=None, limit=10_000):
    at, found = at or Position(), []
    while not found or found[-1] != "done":
        word, at = course.next(at, length)
        found.append(word)
        assert len(found) < limit
    return found


def test_epochs_one_after_the_other():
    assert words(Course(True, 2), 1) == [
        "before_train_epoch", "iterate", "after_train_epoch",
        "before_train_epoch", "iterate", "after_train_epoch",
        "after_train", "after_run", "done",
    ]  # fmt: skip


def test_a_workflow_validates_after_every_second_epoch_the_last_one_too():
    short = [w for w in words(Course(True, 4, (("train", 2), ("val", 1))), 1) if w in ("iterate", "val_losses")]
    assert short == ["iterate", "iterate", "val_losses", "iterate", "iterate", "val_losses"]


def test_a_workflow_whose_train_epochs_run_out_still_ends_with_its_val_items():
    short = [w for w in words(Course(True, 3, (("train", 2), ("val", 1))), 1) if w in ("iterate", "val_losses")]
    assert short == ["iterate", "iterate", "val_losses", "iterate", "val_losses"]


def test_iterations_go_through_the_data_again_and_again():
    course, at, inner = Course(False, 5), Position(), []
    for _ in range(6):
        word, at = course.next(at, 2)
        inner.append((word, at.iteration, at.inner))
    assert inner == [
        ("before_train_epoch", 0, 0), ("iterate", 1, 1), ("iterate", 2, 0), ("iterate", 3, 1), ("iterate", 4, 0), ("iterate", 5, 1),
    ]  # fmt: skip


def test_a_workflow_in_iterations():
    short = [w for w in words(Course(False, 4, (("train", 2), ("val", 1))), 9) if w in ("iterate", "val_losses")]
    assert short == ["iterate", "iterate", "val_losses", "iterate", "iterate", "val_losses"]


def test_stop_ends_an_epoch_run_at_the_end_of_the_epoch_and_an_iteration_run_at_once():
    epoch = Position("iterate", iteration=1, inner=1, stop=True)
    assert words(Course(True, 9), 3, epoch) == [
        "iterate", "iterate", "after_train_epoch", "after_train", "after_run", "done",
    ]  # fmt: skip
    assert words(Course(False, 9), 3, epoch) == ["after_train_epoch", "after_train", "after_run", "done"]


def test_a_validation_that_was_asked_for_comes_first():
    at = Position("begin", iteration=3, epoch=1, validate=True)
    word, after = Course(True, 2).next(at, 3)
    assert (word, after.validate) == ("validate", False)


@given(
    st.booleans(),
    st.integers(1, 6),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["train", "val"]), st.integers(1, 3)), max_size=3),
)
def test_every_run_ends_and_trains_exactly_its_length(by_epoch, limit, length, rest):
    course = Course(by_epoch, limit, (("train", 1), *rest))
    assert words(course, length).count("iterate") == course.total(length)


@given(st.booleans(), st.integers(1, 5), st.integers(1, 4), st.integers(0, 60))
def test_a_run_continues_from_any_position_as_if_it_had_not_stopped(by_epoch, limit, length, cut):
    course, at, seen = Course(by_epoch, limit), Position(), []
    for _ in range(cut):
        word, at = course.next(at, length)
        seen.append(word)
    whole = words(course, length)
    if "done" not in seen:
        assert seen + words(course, length, Position(**at._asdict())) == whole


def test_a_longer_run_goes_on_where_the_shorter_one_ended():
    ended = Position("after_run", iteration=6, epoch=2, inner=3)
    assert reopened(Course(True, 2), ended) == ended
    assert words(Course(True, 3), 3, reopened(Course(True, 3), ended)).count("iterate") == 3


def validated(course, length=1):
    """After how many epochs or iterations a run validates."""
    at, done = Position(), []
    for _ in range(10_000):
        word, at = course.next(at, length)
        if word == "validate":
            done.append(at.epoch if course.by_epoch else at.iteration)
        if word == "done":
            return done
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("course", "want"),
    [
        (by_epochs(4), [1, 2, 3, 4]),
        (by_epochs(5, val_interval=2), [2, 4, 5]),
        (by_epochs(5, val_interval=2, val_begin=3), [4, 5]),
        (by_epochs(2, val_begin=3), []),
        (by_epochs(6, dynamic_intervals=[(2, 3), (6, 1)]), [3, 5, 6]),  # a milestone acts from the one before it on
        (by_epochs(12.0, val_interval=100), [12]),
        (by_iterations(1500), [1000, 1500]),
        (by_iterations(7, val_interval=3, val_begin=4), [6, 7]),
        (by_iterations(9, val_interval=4, dynamic_intervals=[(6, 2)]), [4, 6, 8, 9]),
        (Course(True, 3), []),
    ],
)
def test_when_a_run_validates(course, want):
    assert validated(course) == want


def test_validation_comes_between_an_epoch_and_the_losses_of_a_workflow():
    course = Course(True, 2, (("train", 1), ("val", 1)), Validation())
    assert words(course, 1)[:6] == [
        "before_train_epoch", "iterate", "after_train_epoch", "validate", "val_losses", "before_train_epoch",
    ]  # fmt: skip


def test_a_workflow_may_begin_with_its_val_items_and_ends_with_its_last_training():
    course = Course(True, 2, (("val", 1), ("train", 1)))
    short = [w for w in words(course, 1) if w in ("iterate", "val_losses")]
    assert short == ["val_losses", "iterate", "val_losses", "iterate"]
    short = [w for w in words(Course(False, 2, (("val", 2), ("train", 1))), 1) if w in ("iterate", "val_losses")]
    assert short == ["val_losses", "val_losses", "iterate"] * 2


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_validation_that_is_due_runs_though_the_run_was_stopped(by_epoch):
    course, at = Course(by_epoch, 9, validation=Validation(1, ((0, 1),))), Position()
    for _ in range(2):
        _, at = course.next(at, 1)
    assert words(course, 1, at._replace(stop=True))[: 2 if by_epoch else 1][-1] == "validate"
    assert "iterate" not in words(course, 1, at._replace(stop=True))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(max_epochs=2.5), "max_epochs = 2.5: a whole number of at least 1"),
        (dict(max_epochs=0), "max_epochs = 0: a whole number"),
        (dict(max_epochs="3"), "max_epochs"),
        (dict(max_epochs=3, val_interval=0), "val_interval = 0: a whole number of at least 1"),
        (dict(max_epochs=3, dynamic_intervals=[4]), r"dynamic_intervals holds 4: a pair of whole numbers"),
        (dict(max_epochs=3, dynamic_intervals=[(4, 1), (2, 1)]), "milestones rise"),
    ],
)
def test_what_is_no_loop_is_refused(arguments, text):
    with pytest.raises(FkitError, match=text):
        by_epochs(**arguments)


def test_a_course_that_never_trains_is_refused():
    with pytest.raises(FkitError, match="never trains"):
        Course(True, 3, (("val", 1),))


def test_an_interval_may_be_a_whole_number_that_a_division_gave():
    assert by_iterations(114600 * 1.0, val_interval=114600 / 2).validation.intervals == ((0, 57300),)
    with pytest.raises(FkitValueError, match=r"val_interval = 0\.5: a whole number of at least 1"):
        by_iterations(9, val_interval=0.5)
