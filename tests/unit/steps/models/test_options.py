"""Arguments of `model serve`: references, names, replicas, sizes."""

from __future__ import annotations

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.steps.models.options import Reference, Sizes, label_of, parse, reference_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iris", Reference("iris")),
        ("iris/2", Reference("iris", "2")),
        ("iris@champion", Reference("iris", alias="champion")),
        ("Fraud detection 2/14", Reference("Fraud detection 2", "14")),
        ("a@b@champion", Reference("a@b", alias="champion")),
    ],
)
def test_reference_is_a_model_with_version_or_alias(text: str, expected: Reference) -> None:
    assert reference_of(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not a model"),
        ("iris/", "nothing is no version"),
        ("iris/latest", "latest is no version"),
        ("iris/0", "0 is no version"),
        ("iris/1/2", "1/2 is no version"),
        ("iris@", "no alias after @"),
        ("models:/iris/1", "not a model"),
        ("a\nb", "not a model"),
        ("x" * 251, "not a model"),
    ],
)
def test_wrong_reference_is_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        reference_of(text)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("iris", "iris"),
        ("Fraud_Detection v2", "fraud-detection-v2"),
        ("--x--", "x"),
        ("42", ""),
        ("日本", ""),
        ("a" * 39 + "-b", "a" * 39),
    ],
)
def test_name_is_the_model_as_dns_label(model: str, name: str) -> None:
    assert label_of(model) == name


@pytest.mark.parametrize(
    ("text", "expected"), [("", (0, 0)), ("2", (2, 2)), ("1-4", (1, 4)), ("100", (100, 100))]
)
def test_replicas_are_a_number_or_a_range(text: str, expected: tuple[int, int]) -> None:
    wanted = parse("iris/1", "", text, "", "")
    assert (wanted.sizes.least, wanted.sizes.most) == expected
    assert (wanted.name, wanted.named) == ("iris", False)


def test_sizes_and_name_are_taken_as_they_are() -> None:
    wanted = parse("iris/1", "flowers", "1", "250m", "1Gi")
    assert (wanted.name, wanted.named, wanted.sizes) == ("flowers", True, Sizes(1, 1, "250m", "1Gi"))


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse("iris/x", "Iris", "4-1", "much", "0Gi")
    assert caught.value.why.splitlines() == [
        "iris/x: x is no version (versions are numbers, such as iris/2)",
        "--name Iris: not a name (lower-case letters, digits and dashes, at most 40, a letter first)",
        "--replicas 4-1: not a number of pods (such as 2, or 1-4; at most 100)",
        "--cpu much: not an amount of CPU (write an amount such as 250m or 2)",
        "--memory 0Gi: more than 0",
    ]


def test_model_without_letters_needs_a_name() -> None:
    with pytest.raises(UsageError) as caught:
        parse("42/1", "", "", "", "")
    assert "give --name" in caught.value.why
    assert parse("42/1", "answer", "", "", "").name == "answer"
