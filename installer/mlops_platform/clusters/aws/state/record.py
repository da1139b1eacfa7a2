"""The record of one environment: kept in its state bucket, cached beside the local state."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_platform.base.errors import PreflightError
from mlops_platform.base.files import write_private
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws.session import Session, asking, code_of
from mlops_platform.clusters.aws.state.bucket import Record, StateBucket, now

_RECORD = "record.json"
_EXPIRY = "expires-at"
_ENVIRONMENT_FILE = "environment.yaml"


@dataclass(frozen=True)
class EnvironmentRecord:
    """The record of `environment`; `state` is its local state folder, `run` the id of this run."""

    session: Session
    bucket: StateBucket
    state: Path
    environment: str
    run: str

    @property
    def file(self) -> Path:
        """The path of the local copy."""
        return self.state / _RECORD

    def here(self) -> Record | None:
        """The local copy; None before the first run on this machine."""
        try:
            return Record.parse(self.file.read_text())
        except FileNotFoundError:
            return None

    def anywhere(self) -> Record | None:
        """The local copy, otherwise the record in the bucket."""
        return self.here() or self.bucket.record()

    def keep(self, progress: Progress) -> None:
        """Create the bucket, and add this run to the record. Raises PreflightError in another location."""
        found = self.bucket.record()
        record = (found or self.here() or self._new()).joined(self.run)
        require_location(record, self.session)
        record = replace(record, expires_at=self.asked_expiry() or record.expires_at)
        if found is None or found.expires_at != record.expires_at:
            progress.say(f"state bucket {self.bucket.name}")
            self.bucket.ensure(record.tags())
        self.bucket.write_record(record)
        self._copy(record)

    def asked_expiry(self) -> str:
        """The expiry of the last `up --ttl`; '' for never."""
        asked = self.state / _EXPIRY
        return asked.read_text() if asked.exists() else ""

    def expire(self, when: str) -> None:
        """Store the expiry for the next write of the record."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.state / _EXPIRY, when)

    def require_same_location(self) -> None:
        """Check the location; also copies the record of an environment of another machine."""
        here = self.here()
        record = here or self.bucket.record()
        require_location(record, self.session)
        if record and not here and self.state.exists():
            self._copy(record)

    def _copy(self, record: Record) -> None:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.file, record.text())

    def _new(self) -> Record:
        file = self.state / _ENVIRONMENT_FILE
        return Record(
            environment=self.environment,
            account=self.session.account,
            region=self.session.region,
            owner=self.session.caller.name,
            maker=principal(self.session),
            run=self.run,
            made_at=now(),
            file=file.read_text() if file.exists() else "",
        )


def principal(session: Session) -> str:
    """The ARN of the caller's user or role in IAM: the ARN of a session lacks the role's path."""
    from botocore.exceptions import ClientError  # imported at use: start-up time

    arn = session.caller.arn
    found = re.fullmatch(r"arn:([a-z-]+):sts::(\d+):assumed-role/([^/]+)/.*", arn)
    if not found:
        return arn
    with asking(f"iam get-role --role-name {found[3]}"):
        try:
            return str(session.client("iam").get_role(RoleName=found[3])["Role"]["Arn"])
        except ClientError as error:
            if code_of(error) != "AccessDenied":
                raise
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}"  # most roles have no path


def require_location(record: Record | None, session: Session) -> None:
    """Raise PreflightError unless the login is in the account and region of the record."""
    here = (session.account, session.region)
    if record and (record.account, record.region) != here:
        raise PreflightError(
            f"{record.environment} is in account {record.account}, {record.region}",
            why=f"this session is logged in to account {here[0]}, {here[1]}",
            hint="log in to that account, or choose another name for the environment; nothing was changed",
            command="aws sts get-caller-identity",
        )
