# A role for the autoscaler. mlops-platform associates it with the autoscaler's service account (EKS Pod Identity).

resource "aws_iam_role" "pools" {
  name               = "${var.name}-pools"
  assume_role_policy = local.pod_identity_trust
}

# https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md#iam-policy
# Describe actions cannot be restricted to one cluster. EKS puts the tag of the condition on its node groups' scaling
# groups.
resource "aws_iam_role_policy" "pools" {
  name = "pools"
  role = aws_iam_role.pools.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = ["*"]
      },
      {
        Effect   = "Allow"
        Action   = ["eks:DescribeNodegroup"]
        Resource = ["${replace(aws_eks_cluster.this.arn, ":cluster/", ":nodegroup/")}/*"]
      },
      {
        Effect    = "Allow"
        Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource  = ["*"]
        Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" } }
      },
    ]
  })
}
