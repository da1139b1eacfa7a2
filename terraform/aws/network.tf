# Three zones. Each has a private subnet for nodes and pods, a small public one for load balancers and NAT, and a small
# private one for the control plane, so that network policies can tell the control plane from pods.

locals {
  # One quarter of the VPC per zone. The last quarter has the small subnets: three public, three for the control plane.
  private = { for index, zone in var.zones : zone => cidrsubnet(var.cidr, 2, index) }
  public  = { for index, zone in var.zones : zone => cidrsubnet(var.cidr, 6, 48 + index) }
  control = { for index, zone in var.zones : zone => cidrsubnet(var.cidr, 6, 52 + index) }

  nat_zones = var.nat == "per-zone" ? var.zones : var.nat == "one" ? slice(var.zones, 0, 1) : []
  # The zone of the NAT gateway that each zone uses.
  nat_of = { for zone in var.zones : zone => var.nat == "per-zone" ? zone : var.zones[0] if var.nat != "none" }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = "${local.prefix}vpc" }
}

resource "aws_subnet" "private" {
  for_each          = local.private
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  # A network interface that a node has left behind blocks the deletion forever. After this time `down` removes the
  # interface and runs destroy again.
  timeouts {
    delete = "10m"
  }
  tags = {
    Name                                     = "${local.prefix}private-${each.key}"
    "kubernetes.io/role/internal-elb"        = "1"
    "kubernetes.io/cluster/${local.cluster}" = "shared"
  }
}

resource "aws_subnet" "public" {
  for_each          = local.public
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags = {
    Name                                     = "${local.prefix}public-${each.key}"
    "kubernetes.io/role/elb"                 = "1"
    "kubernetes.io/cluster/${local.cluster}" = "shared"
  }
}

resource "aws_subnet" "control" {
  for_each          = local.control
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${local.prefix}control-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${local.prefix}internet" }
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)
  domain   = "vpc"
  tags     = { Name = "${local.prefix}nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each      = toset(local.nat_zones)
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${local.prefix}nat-${each.key}" }
  # Terraform must destroy the routes to the Internet after the nodes.
  depends_on = [aws_internet_gateway.this, aws_route.public, aws_route_table_association.public]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${local.prefix}public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each       = aws_subnet.public
  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = local.private
  vpc_id   = aws_vpc.this.id
  tags     = { Name = "${local.prefix}private-${each.key}" }
}

resource "aws_route" "private" {
  for_each               = local.nat_of
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_route_table_association" "control" {
  for_each       = aws_subnet.control
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# Image layers come from S3. With this endpoint their traffic is free and needs no NAT.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for zone in var.zones : aws_route_table.private[zone].id]
  tags              = { Name = "${local.prefix}s3" }
}
