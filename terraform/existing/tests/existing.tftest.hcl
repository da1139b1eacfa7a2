# Apply creates nothing; it only records the cluster in the state.

variables {
  name          = "shared"
  kubeconfig    = "/nowhere/kubeconfig"
  context       = "team-a"
  endpoint      = "https://10.0.0.1:6443"
  storage_class = "standard"
  labels        = { team = "a" }
}

run "outputs_match_every_root" {
  assert {
    condition     = output.cluster_name == "team-a" && output.endpoint == "https://10.0.0.1:6443"
    error_message = "outputs name and endpoint must equal the variables"
  }
  assert {
    condition     = output.auth == { kubeconfig = "/nowhere/kubeconfig", context = "team-a" } && output.object_store == null
    error_message = "the output kubeconfig must be set, object_store must be null"
  }
  assert {
    condition     = output.tags == { team = "a", "mlops-platform/env" = "shared" }
    error_message = "the tags must contain the labels"
  }
}

run "rejects_relative_path" {
  command = plan
  variables {
    kubeconfig = "kubeconfig"
  }
  expect_failures = [var.kubeconfig]
}

run "rejects_empty_context" {
  command = plan
  variables {
    context = ""
  }
  expect_failures = [var.context]
}

run "rejects_plain_http" {
  command = plan
  variables {
    endpoint = "http://10.0.0.1:6443"
  }
  expect_failures = [var.endpoint]
}
