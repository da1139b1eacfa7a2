# The registry of the images that mlops-platform builds, one tag each.

resource "aws_ecr_repository" "images" {
  name                 = local.cluster
  image_tag_mutability = "IMMUTABLE" # a tag is the digest of an image's recipe
  force_delete         = true        # every image can be built again

  image_scanning_configuration {
    scan_on_push = true
  }
}
