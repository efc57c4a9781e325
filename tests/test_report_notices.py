"""What fits have to say is said once."""

from __future__ import annotations

import dataclasses

import pytest

from report_fixture import make_report
from rheobase.evaluate.statements import state
from rheobase.report.embed import Budget
from rheobase.report.modelling import models_section
from rheobase.report.notices import gathered_notices


def fits(*notices, seeds=1):
    """Return runs with these notices, ``seeds`` to a fold."""
    return [{"fold": i // seeds, "seed": i % seeds, "notices": list(said)}
            for i, said in enumerate(notices)]  # fmt: skip


def test_notices_that_differ_in_numbers_become_one_with_their_range():
    said = [f"connectivity correlates {r} with that of 12 people" for r in ("1.00", "0.94", "0.97")]
    found = gathered_notices(fits(*[[one] for one in said]))
    assert found == ("connectivity correlates 0.94 to 1.00 with that of 12 people",)


def test_negative_numbers_and_the_end_of_a_sentence_are_ranges_too():
    found = gathered_notices(fits(["r is \N{MINUS SIGN}0.50."], ["r is 0.2."]))
    assert found == ("r is \N{MINUS SIGN}0.50 to 0.2.",)


def test_what_every_fit_says_alike_stands_as_it_is():
    assert gathered_notices(fits(["a 3"], ["a 3"])) == ("a 3",)
    assert gathered_notices([]) == ()


@pytest.mark.parametrize(
    ("seeds", "notices", "where"),
    [
        (1, (["a"], [], []), "a (fold 0)"),
        (1, (["a"], [], ["a"]), "a (folds 0, 2)"),
        (2, (["a"], [], ["a"], []), "a (in 2 of 4 fits)"),
    ],
)
def test_what_some_fits_say_says_which(seeds, notices, where):
    assert gathered_notices(fits(*notices, seeds=seeds)) == (where,)


def test_names_with_numbers_are_not_taken_for_numbers():
    found = gathered_notices(fits(["sub-03 is short"], ["sub-07 is short"]))
    assert found == ("sub-03 is short (fold 0)", "sub-07 is short (fold 1)")


def test_the_page_shows_a_notice_of_many_fits_once(tmp_path):
    report = make_report(tmp_path)
    runs = [{**run, "notices": [f"it correlates {0.9 + 0.01 * run['fold']:.2f}"]}
            for run in report.runs["echo"]]  # fmt: skip
    views = models_section(
        dataclasses.replace(report, runs={"echo": runs}), {}, [state("echo", ())], Budget(10)
    )
    assert views[0].notices == ("it correlates 0.90 to 0.93",)
