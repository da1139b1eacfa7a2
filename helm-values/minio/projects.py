"""The data of projects: a bucket each, and credentials of at most an hour for the tokens of its accounts.

MinIO exchanges the token of a pod (AssumeRoleWithWebIdentity). The policy has the name of the token's
subject, `system:serviceaccount:PROJECT:ACCOUNT`: there is no policy for another account, so its token is
refused. Conditions decide nothing: MinIO reads their keys from the request's headers first, so a header
`Sub` or `Prefix` passes them (docs/adr/0030-data-of-projects.md). That is why each project has a bucket.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.deleteobjects import DeleteObject
from minio.error import MinioAdminException, S3Error

ADMIN, PROJECTS = Path("/run/secrets/admin"), Path("/files/projects.json")
AUDIENCE = "minio"
CONFIGURATION = "https://kubernetes.default.svc/.well-known/openid-configuration"
ACCOUNTS = {"trainer": True, "airflow": True, "server": False}  # true: the account writes
_READY_SECONDS = 60.0

READ_BUCKET, READ = ["s3:GetBucketLocation", "s3:ListBucket"], ["s3:GetObject"]
WRITE_BUCKET = ["s3:ListBucketMultipartUploads"]
WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def bucket_of(project: str) -> str:
    return f"project-{project}"


def subject(project: str, account: str) -> str:
    return f"system:serviceaccount:{project}:{account}"


def policy(bucket: str, *, writes: bool) -> dict[str, Any]:
    """All objects of one bucket, and nothing that outlives the token.

    Without the denials, MinIO lets temporary credentials create keys without an end, and gives credentials
    of up to a year to a request that asks for them.
    """
    on_bucket = [*READ_BUCKET, *(WRITE_BUCKET if writes else [])]
    on_objects = [*READ, *(WRITE if writes else [])]
    statements = [
        {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
        {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Deny", "Action": ["admin:*"]},
        {
            "Effect": "Deny",
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"Null": {"sts:DurationSeconds": ["false"]}},
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}


class Store:
    """The object store, as its administrator."""

    def __init__(self, host: str, port: str, admin: Path = ADMIN) -> None:
        self.endpoint = f"{host}:{port}"
        keys = ((admin / "user").read_text(), (admin / "password").read_text())
        # The pod may be new, and the node's rules may not lead to it yet.
        self._http = urllib3.PoolManager(retries=urllib3.Retry(total=8, backoff_factor=0.2))
        self.s3 = Minio(
            self.endpoint, access_key=keys[0], secret_key=keys[1], secure=False, http_client=self._http
        )
        self.management = MinioAdmin(
            endpoint=self.endpoint, credentials=StaticProvider(*keys), secure=False, http_client=self._http
        )

    def sync(self, projects: Iterable[str]) -> None:
        """Make what is missing. An existing bucket, kept by `remove`, belongs to its project again."""
        names = list(projects)
        if names and not self.exchanges_tokens():
            self._exchange_tokens()
        known = json.loads(self.management.policy_list())
        for name in names:
            bucket = bucket_of(name)
            if not self.s3.bucket_exists(bucket_name=bucket):
                self.s3.make_bucket(bucket_name=bucket)
                say(f"bucket {bucket}")
            for account, writes in ACCOUNTS.items():
                self.management.policy_add(subject(name, account), policy=policy(bucket, writes=writes))
                if subject(name, account) not in known:
                    say(f"policy {subject(name, account)}")

    def remove(self, project: str, *, keep_data: bool) -> None:
        """Remove the policies, which ends all credentials at once, then the data in all its versions."""
        for name in json.loads(self.management.policy_list()):
            if name.startswith(subject(project, "")):
                self.management.policy_remove(name)
                say(f"removed policy {name}")
        bucket = bucket_of(project)
        if keep_data or not self.s3.bucket_exists(bucket_name=bucket):
            return
        found = self.s3.list_objects(bucket_name=bucket, recursive=True, include_version=True)
        names = [DeleteObject(each.object_name, each.version_id) for each in found]
        failed = list(self.s3.remove_objects(bucket_name=bucket, delete_object_list=names))
        if failed:
            raise SystemExit(f"{bucket}: {failed[0].message}")
        self.s3.remove_bucket(bucket_name=bucket)
        say(f"removed bucket {bucket} with {len(names)} objects")

    def exchanges_tokens(self) -> bool:
        """Tell whether the running server knows the issuer: a token that is none fails as a token."""
        form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "WebIdentityToken": "none"}
        url = f"http://{self.endpoint}/"
        answer = self._http.request_encode_body("POST", url, fields=form, encode_multipart=False)
        return b"segments" in answer.data

    def _exchange_tokens(self) -> None:
        """Let MinIO accept the cluster's tokens for its audience; it reads that at start, so stop it.

        The kubelet starts its container again. MinIO's own restart would leave the administrator's password
        in the environment of the new process: at its start MinIO copies the contents of the file there.

        MinIO checks the issuer before it stores the configuration. `claim_name`: the claim that names the
        policy. The client secret is random: MinIO also accepts tokens that are signed with it.
        """
        try:
            self.management.config_set(
                "identity_openid",
                {
                    "config_url": CONFIGURATION,
                    "client_id": AUDIENCE,
                    "client_secret": secrets.token_urlsafe(48),
                    "claim_name": "sub",
                },
            )
        except MinioAdminException as error:
            raise SystemExit(_UNREADABLE.format(url=CONFIGURATION, error=error)) from error
        say("the cluster's tokens are accepted; MinIO restarts")
        self.management.service_stop()
        until = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if time.monotonic() > until:
                raise SystemExit(f"MinIO does not accept tokens {_READY_SECONDS:.0f} s after its restart")
            Event().wait(0.1)

    def _ready(self) -> bool:
        try:
            if not self.exchanges_tokens():
                return False
            self.s3.list_buckets()
        except (urllib3.exceptions.HTTPError, S3Error):
            return False
        return True


_UNREADABLE = """\
MinIO cannot read the keys of the cluster's tokens at {url}: {error}
Pods exchange these tokens for access to data; the keys are public. Allow every client to read them:
kubectl create clusterrolebinding service-account-issuer-discovery \
--clusterrole=system:service-account-issuer-discovery --group=system:unauthenticated"""


def main(act: str) -> None:
    store = Store(os.environ["HOST"], os.environ["PORT"])
    if act == "sync":
        store.sync(each["name"] for each in json.loads(PROJECTS.read_text()))
    else:
        store.remove(os.environ["PROJECT"], keep_data=os.environ["KEEP_DATA"] == "true")


if __name__ == "__main__":
    main(sys.argv[1])
