"""Addresses that the model server cannot fetch: the reason for its user, from boto3's own answers."""

from __future__ import annotations

import pytest
from platform_serving.failures import Failure  # type: ignore[import-not-found]
from platform_serving.fetch import files_of  # type: ignore[import-not-found]

from tests.fakes.answering import answering

ERROR = "<Error><Code>{}</Code><Message>no</Message></Error>"
NONE = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (403, ERROR.format("AccessDenied"), "this project's account server has no right to read other"),
        (
            404,
            ERROR.format("NoSuchBucket"),
            "model cannot be read: s3://other/m (An error occurred (NoSuchBucket",
        ),
        (200, NONE, "model not found: no object below s3://other/m"),
    ],
)
def test_reason_of_a_model_that_is_not_in_the_store(
    status: int, text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(lambda *_: (status, text)) as url:
        for name, value in (
            ("AWS_ENDPOINT_URL_S3", url),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ):
            monkeypatch.setenv(name, value)
        with pytest.raises(Failure) as caught:
            files_of("s3://other/m")
    assert reason in str(caught.value)


@pytest.mark.parametrize("uri", ["gopher://iris/1", "mlflow://iris/@champion", "mlflow://iris"])
def test_address_of_another_form_is_named(uri: str) -> None:
    with pytest.raises(Failure, match=uri):
        files_of(uri)
