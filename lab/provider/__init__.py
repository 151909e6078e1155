"""The AWS provider of the lab: speaks to the real Pulumi engine as `pulumi-resource-aws` does, and to the lab's API.

One table row a resource type (`rows/`), boto3 behind it. What the table does not know is an error that names it.
"""
