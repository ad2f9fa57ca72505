"""What people have said about alerts, and what saying it again comes to."""

from __future__ import annotations

from worker.core.verdicts import MAX_VERDICTS, Verdict, with_verdict


def test_saying_the_same_again_changes_nothing_whatever_was_said_of_others_in_between() -> None:
    said = with_verdict(with_verdict((), "a", "normal"), "b", "normal")
    assert with_verdict(said, "a", "normal") == said


def test_the_last_word_about_an_alert_counts() -> None:
    said = with_verdict(with_verdict((), "a", "normal"), "a", "anomaly")
    assert said == (Verdict("a", "anomaly"),)
    assert with_verdict(said, "a", "unsure") == ()


def test_the_oldest_verdict_is_the_first_to_go() -> None:
    said: tuple[Verdict, ...] = ()
    for number in range(MAX_VERDICTS + 3):
        said = with_verdict(said, str(number), "normal")
    assert [each.alert for each in said] == [str(n) for n in range(3, MAX_VERDICTS + 3)]
