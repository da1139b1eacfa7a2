# Plans only, because apply starts a node. Wrong input must fail before anything is created.

variables {
  name          = "test"
  config        = "/nowhere/node.json"
  python        = "/usr/bin/python3"
  fingerprint   = "abc"
  endpoint      = "https://10.77.0.2:6443"
  kubeconfig    = "/nowhere/kubeconfig"
  storage_class = "standard"
}

run "outputs_match_every_root" {
  command = plan
  assert {
    condition     = output.cluster_name == "test" && output.region == "host"
    error_message = "outputs name and region must equal the variables"
  }
  assert {
    condition     = output.auth.kubeconfig == "/nowhere/kubeconfig" && output.object_store == null
    error_message = "the output kubeconfig must be set, object_store must be null"
  }
  assert {
    condition     = output.tags["mlops-platform/env"] == "test"
    error_message = "the tags must contain the environment"
  }
}

run "rejects_long_name" {
  command = plan
  variables {
    name = "a-name-that-is-longer-than-interfaces-allow"
  }
  expect_failures = [var.name]
}

run "rejects_relative_path" {
  command = plan
  variables {
    config = "node.json"
  }
  expect_failures = [var.config]
}

run "rejects_plain_http" {
  command = plan
  variables {
    endpoint = "http://10.77.0.2:6443"
  }
  expect_failures = [var.endpoint]
}

run "rejects_gpu_pools" {
  command = plan
  variables {
    gpu_pools = {
      a10 = { instance_type = "g5.xlarge", gpu_count = 1, min = 0, max = 1 }
    }
  }
  expect_failures = [var.gpu_pools]
}
