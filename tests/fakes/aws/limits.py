"""Limits of an account that moto does not have: EC2 quotas, increases of a quota, and the versions of EKS."""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.eks import urls
from moto.eks.responses import EKSResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

# The GPU quotas of a new account: 0. The other quotas are larger than any test needs.
QUOTAS = {
    "L-1216C47A": 64.0,
    "L-34B43A08": 64.0,
    "L-DB2E81BA": 0.0,
    "L-3819A6DF": 0.0,
    "L-417A185B": 0.0,
    "L-7212CCBC": 0.0,
    "L-C4BD4855": 0.0,
    "L-0263D0A3": 5.0,
}
VERSIONS = {
    "1.31": "EXTENDED_SUPPORT",
    "1.32": "EXTENDED_SUPPORT",
    "1.33": "STANDARD_SUPPORT",
    "1.34": "STANDARD_SUPPORT",
    "1.35": "STANDARD_SUPPORT",
    "1.36": "STANDARD_SUPPORT",
}


def extend() -> None:
    """Replace moto's methods, before its server starts."""
    original = ServiceQuotasBackend.get_service_quota

    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        raised: dict[str, float] = self.__dict__.setdefault("raised", {})
        if service_code != "ec2":
            return {**original(self, service_code, quota_code), **_value(raised, quota_code)}
        if quota_code not in QUOTAS:
            raise NoSuchResource
        return {"QuotaCode": quota_code, "Value": QUOTAS[quota_code], **_value(raised, quota_code)}

    def request_service_quota_increase(self: ServiceQuotasResponse) -> str:
        """Grant a request at once, also one for less, which AWS would reject."""
        params = json.loads(self.body)
        self.backend.__dict__.setdefault("raised", {})[params["QuotaCode"]] = params["DesiredValue"]
        return json.dumps({"RequestedQuota": {"Status": "APPROVED"}})

    ServiceQuotasBackend.get_service_quota = get_service_quota  # type: ignore[method-assign]
    ServiceQuotasResponse.request_service_quota_increase = request_service_quota_increase  # type: ignore[attr-defined]
    urls.url_paths["{0}/cluster-versions$"] = _Versions.dispatch


class _Versions(EKSResponse):
    def describe_cluster_versions(self) -> ActionResult:
        found = [{"clusterVersion": name, "versionStatus": status} for name, status in VERSIONS.items()]
        return ActionResult({"clusterVersions": found})


def _value(raised: dict[str, float], code: str) -> dict[str, float]:
    return {"Value": raised[code]} if code in raised else {}
