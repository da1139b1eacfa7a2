# Node pools: one launch template and one managed node group each.

locals {
  system = {
    instance_type = var.system_pool.instance_type
    min           = var.system_pool.min
    max           = var.system_pool.max
    disk          = var.system_pool.disk
    zones         = var.system_pool.zones
    spot          = false
    gpus          = 0
    taint         = ""
    labels        = {}
  }

  pools = merge({ system = local.system }, { for name, pool in var.gpu_pools : name => {
    instance_type = pool.instance_type
    min           = pool.min
    max           = pool.max
    disk          = pool.disk
    zones         = pool.zones
    spot          = pool.spot
    gpus          = pool.gpu_count
    taint         = pool.taint
    labels        = pool.labels
  } })

  # The letter after the generation: m7g, t4g, g5g have ARM processors.
  architecture = { for name, pool in local.pools : name => can(regex("^[a-z]+[0-9]+g", pool.instance_type)) ? "ARM_64" : "x86_64" }

  taints = { for name, pool in local.pools : name => regex("^(?P<key>.+)=(?P<value>.*):(?P<effect>.+)$", pool.taint) if pool.taint != "" }
  effects = {
    NoSchedule       = "NO_SCHEDULE"
    PreferNoSchedule = "PREFER_NO_SCHEDULE"
    NoExecute        = "NO_EXECUTE"
  }

  # mlops-platform/pool names a node's pool; GPU operators look for nvidia.com/gpu.present. With the accelerator label
  # the autoscaler counts on a ready node only after its GPUs are registered:
  # https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
  labels = { for name, pool in local.pools : name => merge(
    { "mlops-platform/pool" = name },
    pool.gpus > 0 ? { "nvidia.com/gpu.present" = "true", "k8s.amazonaws.com/accelerator" = split(".", pool.instance_type)[0] } : {},
    pool.labels,
  ) }

  # For an empty pool the autoscaler reads labels, GPUs and taints of a future node from these tags:
  # https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
  template = "k8s.io/cluster-autoscaler/node-template"
  hints = merge([for name, pool in local.pools : merge(
    { for key, value in local.labels[name] : "${name} label ${key}" => { pool = name, key = "${local.template}/label/${key}", value = value } },
    pool.gpus > 0 ? { "${name} gpu" = { pool = name, key = "${local.template}/resources/nvidia.com/gpu", value = tostring(pool.gpus) } } : {},
    { for taint in [try(local.taints[name], null)] : "${name} taint" => { pool = name, key = "${local.template}/taint/${taint.key}", value = "${taint.value}:${taint.effect}" } if taint != null },
  ) if pool.gpus > 0]...)
}

resource "aws_iam_role" "node" {
  name = "${var.name}-node"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])
  role       = aws_iam_role.node.name
  policy_arn = "${local.policies}/${each.value}"
}

resource "aws_launch_template" "this" {
  for_each = local.pools
  name     = "${var.name}-${each.key}"
  # In the launch template, not in the node group, so that a new type or disk is a rolling update of the same group.
  instance_type          = each.value.instance_type
  update_default_version = true
  tags                   = { Name = "${var.name}-${each.key}" }

  # Bottlerocket's system is on its own disk of the image's size; pods and images are on the second disk.
  dynamic "block_device_mappings" {
    for_each = each.value.gpus > 0 ? { "/dev/xvda" = null, "/dev/xvdb" = each.value.disk } : { "/dev/xvda" = each.value.disk }
    content {
      device_name = block_device_mappings.key
      ebs {
        volume_type           = "gp3"
        volume_size           = block_device_mappings.value
        encrypted             = true
        delete_on_termination = true
      }
    }
  }

  # A hop limit of 1 keeps the node's credentials from pods, which are one hop further away.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
    }
  }
}

resource "aws_eks_node_group" "this" {
  for_each        = local.pools
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [for zone, id in var.subnets : id if length(each.value.zones) == 0 || contains(each.value.zones, zone)]
  version         = var.kubernetes_version
  # Bottlerocket's is the only image with NVIDIA's driver that also has the device plugin, which pods with GPUs need:
  # https://docs.aws.amazon.com/eks/latest/userguide/ml-eks-k8s-device-plugin.html
  ami_type      = each.value.gpus > 0 ? "BOTTLEROCKET_${local.architecture[each.key]}_NVIDIA" : "AL2023_${local.architecture[each.key]}_STANDARD"
  capacity_type = each.value.spot ? "SPOT" : "ON_DEMAND"
  labels        = local.labels[each.key]

  launch_template {
    id      = aws_launch_template.this[each.key].id
    version = aws_launch_template.this[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.min
    max_size     = each.value.max
    desired_size = each.value.min
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  dynamic "taint" {
    for_each = [for taint in [try(local.taints[each.key], null)] : taint if taint != null]
    content {
      key    = taint.value.key
      value  = taint.value.value
      effect = local.effects[taint.value.effect]
    }
  }

  # The autoscaler sets the number of nodes.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }

  # "Otherwise, EKS will not be able to properly delete EC2 Instances and Elastic Network Interfaces."
  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.before, terraform_data.policies]
}

resource "aws_autoscaling_group_tag" "hint" {
  for_each               = local.hints
  autoscaling_group_name = aws_eks_node_group.this[each.value.pool].resources[0].autoscaling_groups[0].name
  tag {
    key                 = each.value.key
    value               = each.value.value
    propagate_at_launch = false
  }
}
