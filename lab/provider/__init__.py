"""The lab's AWS provider: to the real Pulumi engine it is `pulumi-resource-aws`; it calls the lab's API by boto3.

There is one `ResourceType` for each type that it supports (`resource_types/`). Anything else is an error that names it.
"""
