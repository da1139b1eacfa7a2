# EKS add-ons: network, identity, DNS, disks.

locals {
  # `before`: a node needs these to become ready. `after`: these need a node to become active.
  before = {
    vpc-cni = {
      account = "aws-node"
      policy  = "AmazonEKS_CNI_Policy"
      values = {
        enableNetworkPolicy = "true"
        env                 = { NETWORK_POLICY_ENFORCING_MODE = var.network_policy }
      }
    }
    kube-proxy             = { account = "", policy = "", values = {} }
    eks-pod-identity-agent = { account = "", policy = "", values = {} }
  }
  after = {
    coredns = { account = "", policy = "", values = {} }
    aws-ebs-csi-driver = {
      account = "ebs-csi-controller-sa"
      policy  = "service-role/AmazonEBSCSIDriverPolicy"
      # `down` finds and sweeps the driver's disks by these tags.
      values = { controller = { extraVolumeTags = var.tags } }
    }
  }

  identities = { for name, addon in merge(local.before, local.after) : name => addon if addon.account != "" }
}

# EKS does not update an add-on by itself: take the default version for the cluster's version.
data "aws_eks_addon_version" "this" {
  for_each           = merge(local.before, local.after)
  addon_name         = each.key
  kubernetes_version = var.kubernetes_version
}

resource "aws_iam_role" "addon" {
  for_each           = local.identities
  name               = "${var.name}-${each.key}"
  assume_role_policy = local.pod_identity_trust
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each   = local.identities
  role       = aws_iam_role.addon[each.key].name
  policy_arn = "${local.policies}/${each.value.policy}"
}

resource "aws_eks_addon" "before" {
  for_each                    = local.before
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = data.aws_eks_addon_version.this[each.key].version
  configuration_values        = length(each.value.values) > 0 ? jsonencode(each.value.values) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  depends_on                  = [aws_eks_pod_identity_association.addon]
}

resource "aws_eks_addon" "after" {
  for_each                    = local.after
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = data.aws_eks_addon_version.this[each.key].version
  configuration_values        = length(each.value.values) > 0 ? jsonencode(each.value.values) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  depends_on                  = [aws_eks_node_group.this]
}

resource "aws_eks_pod_identity_association" "addon" {
  for_each        = local.identities
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = each.value.account
  role_arn        = aws_iam_role.addon[each.key].arn
  depends_on      = [aws_iam_role_policy_attachment.addon]
}

# In strict mode a pod has no network access without a policy. DNS and the disk driver need the API server to become
# active, and Terraform waits for both. So apply their policies after the API server is ready and before the add-ons.
resource "terraform_data" "policies" {
  for_each         = var.network_policy == "strict" && var.python != "" ? { kube-system = true } : {}
  triggers_replace = [aws_eks_cluster.this.arn]

  provisioner "local-exec" {
    command = "exec \"$PYTHON\" -m mlops_platform.clusters.aws.first_policies"
    environment = {
      PYTHON   = var.python
      CLUSTER  = aws_eks_cluster.this.name
      REGION   = var.region
      ENDPOINT = aws_eks_cluster.this.endpoint
      CA       = one(aws_eks_cluster.this.certificate_authority[*].data)
    }
  }
}
