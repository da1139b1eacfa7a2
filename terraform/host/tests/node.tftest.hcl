# Plans only: applying would start a node. Wrong input is refused before anything is made.

variables {
  name          = "test"
  config        = "/nowhere/node.json"
  python        = "/usr/bin/python3"
  fingerprint   = "abc"
  endpoint      = "https://10.77.0.2:6443"
  kubeconfig    = "/nowhere/kubeconfig"
  storage_class = "standard"
}

run "outputs_are_those_of_every_root" {
  command = plan
  assert {
    condition     = output.cluster_name == "test" && output.region == "host"
    error_message = "name and region are handed on"
  }
  assert {
    condition     = output.auth.kubeconfig == "/nowhere/kubeconfig" && output.object_store == null
    error_message = "the kubeconfig is named, and there is no object store"
  }
  assert {
    condition     = output.tags["mlops-platform/env"] == "test"
    error_message = "the environment is in the tags"
  }
}

run "a_name_too_long_is_refused" {
  command = plan
  variables {
    name = "a-name-that-is-longer-than-interfaces-allow"
  }
  expect_failures = [var.name]
}

run "a_relative_path_is_refused" {
  command = plan
  variables {
    config = "node.json"
  }
  expect_failures = [var.config]
}

run "plain_http_is_refused" {
  command = plan
  variables {
    endpoint = "http://10.77.0.2:6443"
  }
  expect_failures = [var.endpoint]
}

run "gpu_pools_are_refused" {
  command = plan
  variables {
    gpu_pools = {
      a10 = { instance_type = "g5.xlarge", gpu_count = 1, min = 0, max = 1 }
    }
  }
  expect_failures = [var.gpu_pools]
}
