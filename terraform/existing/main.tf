# A cluster somebody else made: nothing is made of it and nothing destroyed. What is kept is which one it was.

resource "terraform_data" "cluster" {
  input = {
    context  = var.context
    endpoint = var.endpoint
  }
}
