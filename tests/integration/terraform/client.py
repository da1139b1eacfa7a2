"""The smallest command line around Terraform, for tests that kill it.

python -m tests.integration.terraform.client apply|destroy ROOT FOLDER JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlops_platform.adapters.terraform import Terraform
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent

if __name__ == "__main__":
    act, root, folder, variables = sys.argv[1:]
    getattr(Terraform(Path(root), Path(folder)), act)(json.loads(variables), Silent(), Cancel())
