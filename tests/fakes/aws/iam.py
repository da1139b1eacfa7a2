"""Owns which of AWS's own policies an account of the tests has: those of EKS and its nodes.

moto reads all 1500 into every account, and for every partition as often as it looks up whose a key is: a
second of work for each account that is new.
"""

from __future__ import annotations

import json
from typing import Any

from moto.iam import models

_OFFERED = ("AmazonEKS", "AmazonEBS", "AmazonEC2ContainerRegistry")


def extend() -> None:
    """Put it in moto's place, before its server starts."""
    module: Any = models
    offered = json.loads(module.aws_managed_policies_data)
    wanted = {name: policy for name, policy in offered.items() if name.startswith(_OFFERED)}
    module.aws_managed_policies_data = json.dumps(wanted)
