# Nothing is made: applying writes down which cluster it was.

variables {
  name          = "shared"
  kubeconfig    = "/nowhere/kubeconfig"
  context       = "team-a"
  endpoint      = "https://10.0.0.1:6443"
  storage_class = "standard"
  labels        = { team = "a" }
}

run "outputs_are_those_of_every_root" {
  assert {
    condition     = output.cluster_name == "team-a" && output.endpoint == "https://10.0.0.1:6443"
    error_message = "the context and the endpoint are handed on"
  }
  assert {
    condition     = output.auth == { kubeconfig = "/nowhere/kubeconfig", context = "team-a" } && output.object_store == null
    error_message = "the kubeconfig is named, and there is no object store"
  }
  assert {
    condition     = output.tags == { team = "a", "mlops-platform/env" = "shared" }
    error_message = "the labels are in the tags"
  }
}

run "a_relative_path_is_refused" {
  command = plan
  variables {
    kubeconfig = "kubeconfig"
  }
  expect_failures = [var.kubeconfig]
}

run "the_current_context_is_not_good_enough" {
  command = plan
  variables {
    context = ""
  }
  expect_failures = [var.context]
}

run "plain_http_is_refused" {
  command = plan
  variables {
    endpoint = "http://10.0.0.1:6443"
  }
  expect_failures = [var.endpoint]
}
