"""The policies of AWS that an account of the tests has: those for EKS and its nodes.

moto loads all 1500 into every account, for every partition, each time it looks up the owner of a key: a
second of CPU for each new account.
"""

from __future__ import annotations

import json
from typing import Any

from moto.iam import models

_OFFERED = ("AmazonEKS", "AmazonEBS", "AmazonEC2ContainerRegistry")


def extend() -> None:
    """Replace moto's list, before its server starts."""
    module: Any = models
    offered = json.loads(module.aws_managed_policies_data)
    wanted = {name: policy for name, policy in offered.items() if name.startswith(_OFFERED)}
    module.aws_managed_policies_data = json.dumps(wanted)
