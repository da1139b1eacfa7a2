# Images the installer builds, a tag each: what the platform's pods run, and its probes.

resource "aws_ecr_repository" "images" {
  name                 = local.cluster
  image_tag_mutability = "IMMUTABLE" # a tag is the digest of what an image is made of
  force_delete         = true        # everything in it can be built again

  image_scanning_configuration {
    scan_on_push = true
  }
}
