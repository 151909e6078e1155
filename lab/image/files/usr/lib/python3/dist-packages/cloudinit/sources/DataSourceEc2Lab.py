# mypy: ignore-errors
# (it runs on the host, where cloud-init is)
"""cloud-init's EC2 datasource in a container, where it cannot read from DMI that the platform is AWS.

Told so, it asks for a metadata token and reads everything as it does on EC2. Put into the lab's host image.
"""

from cloudinit import sources
from cloudinit.sources import DataSourceEc2 as ec2


class DataSourceEc2Lab(ec2.DataSourceEc2):
    dsname = "Ec2"

    @property
    def cloud_name(self):
        return ec2.CloudNames.AWS


datasources = [(DataSourceEc2Lab, (sources.DEP_FILESYSTEM, sources.DEP_NETWORK))]


def get_datasource_list(depends):
    """What cloud-init asks every datasource module for."""
    return sources.list_from_depends(depends, datasources)
