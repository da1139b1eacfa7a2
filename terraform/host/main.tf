# The host cluster: one Kubernetes node in namespaces of this machine. Uses only Terraform's built-in provider.

resource "terraform_data" "node" {
  # A destroy provisioner sees nothing but `self`, so what it needs is kept as input.
  input = {
    python = var.python
    config = var.config
  }

  # Other programs or settings: stop and start. The data lies in the state folder and stays.
  triggers_replace = var.fingerprint

  provisioner "local-exec" {
    command = "exec \"$PYTHON\" -m mlops_platform.clusters.host.node start --config \"$CONFIG\""
    environment = {
      PYTHON = self.input.python
      CONFIG = self.input.config
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "exec \"$PYTHON\" -m mlops_platform.clusters.host.node stop --config \"$CONFIG\""
    environment = {
      PYTHON = self.input.python
      CONFIG = self.input.config
    }
  }
}
