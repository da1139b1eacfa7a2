# The host cluster: one Kubernetes node in its own namespaces on this machine. Uses only Terraform's built-in provider.

resource "terraform_data" "node" {
  # A destroy provisioner can read only `self`, so its values are stored in the input.
  input = {
    python = var.python
    config = var.config
  }

  # Other programs or settings restart the node. Its data is in the state folder and stays.
  triggers_replace = var.fingerprint

  provisioner "local-exec" {
    command = "exec \"$PYTHON\" -m mlops_platform.clusters.host.node start --config \"$CONFIG\""
    environment = {
      PYTHON = self.input.python
      CONFIG = self.input.config
    }
  }

  # The interpreter of the installer that runs now: the one in the state may have been removed since.
  provisioner "local-exec" {
    when    = destroy
    command = "exec \"$${MLOPS_PLATFORM_PYTHON:-$PYTHON}\" -m mlops_platform.clusters.host.node stop --config \"$CONFIG\""
    environment = {
      PYTHON = self.input.python
      CONFIG = self.input.config
    }
  }
}
