"""Images: they keep their mappings, are hidden when disabled, and belong to somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.amis import Ami

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.corrections.ids import stable_id
from ec2_sandbox.errors import ApiError

CANONICAL = "099720109477"
AMAZON = "137112412989"


@dataclass
class NewImage:
    """What an image is to be made with; ``mappings`` as the API's BlockDeviceMappings."""

    name: str
    mappings: Sequence[Mapping[str, Any]]
    description: str = ""
    architecture: str = "x86_64"
    root_device_name: str = "/dev/sda1"
    virtualization_type: str = "hvm"
    boot_mode: str | None = None
    imds_support: str | None = None
    tpm_support: str | None = None
    ena_support: bool = True
    owner_id: str | None = None
    owner_alias: str | None = None
    public: bool = False
    disabled: bool = False
    image_id: str | None = None
    instance_id: str | None = None
    created_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class StrictAmi(Ami):  # type: ignore[misc]
    """An image that makes no volume and no snapshot of its own, but keeps its mappings."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> StrictAmi:
        """Makes one without moto's list of everything ever made."""
        return object.__new__(cls)

    def __init__(self, backend: Any, new: NewImage, image_id: str) -> None:
        self.ec2_backend = backend
        self.id = image_id
        self.sequence: int = backend.world.next_sequence()
        self.name = new.name
        self.description = new.description
        self.architecture = new.architecture
        self.root_device_name = new.root_device_name
        self.root_device_type = "ebs"
        self.virtualization_type = new.virtualization_type
        self.boot_mode = new.boot_mode
        self.imds_support = new.imds_support
        self.tpm_support = new.tpm_support
        self.ena_support = new.ena_support
        self.owner_id = new.owner_id or backend.account_id
        self.owner_alias = new.owner_alias
        self.image_type = "machine"
        self.image_location = f"{self.owner_id}/{new.name}"
        self.hypervisor = "xen"
        self.platform = None
        self.kernel_id = None
        self.sriov = "simple"
        self.product_codes: set[str] = set()
        self.instance_id = new.instance_id
        self.creation_date = new.created_at or backend.world.clock.now()
        self.launch_permissions = [{"Group": "all"}] if new.public else []
        self.disabled = new.disabled
        self.mappings = [dict(each) for each in new.mappings]
        backend.set_tags(image_id, new.tags)

    @property
    def state(self) -> str:
        """The state: pending while a snapshot of it is, failed when one is in error."""
        if self.disabled:
            return "disabled"
        known = self.ec2_backend.snapshots
        states = {known[each].status for each in self.snapshot_ids if each in known}
        return "failed" if "error" in states else "pending" if "pending" in states else "available"

    @state.setter
    def state(self, value: str) -> None:
        self.disabled = value == "disabled"

    @property
    def snapshot_ids(self) -> set[str]:
        """The snapshots that the image is made of."""
        return {
            each["Ebs"]["SnapshotId"]
            for each in self.mappings
            if each.get("Ebs", {}).get("SnapshotId")
        }

    @property
    def devices(self) -> list[str]:
        """The device names of its mappings."""
        return [each["DeviceName"] for each in self.mappings]

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """Its mappings."""
        return self.mappings


class StrictImages(BackendPart):
    """Of the backend: images."""

    def init_images(self) -> None:
        """Puts the few public images into the region that temporary instances start from."""
        for new in _public_images(self.region_name):
            self.add_image(new)

    def add_image(self, new: NewImage) -> StrictAmi:
        """Puts an image into the world."""
        image_id = new.image_id or self.new_image_id()
        image = StrictAmi(self, new, image_id)
        self.amis[image_id] = image
        return image

    def new_image_id(self) -> str:
        """Makes an id for an image that is yet to be made."""
        return stable_id("ami", self.region_name, self.world.epoch, self.world.next_sequence())

    def get_image(self, image_id: str) -> StrictAmi:
        """Answers an image by its id.

        :raises ApiError: ``InvalidAMIID.NotFound``
        """
        image: StrictAmi | None = self.amis.get(image_id)
        if image is None:
            raise ApiError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        return image

    def describe_images(
        self,
        ami_ids: Sequence[str] | None = None,
        filters: Mapping[str, Any] | None = None,
        exec_users: Sequence[str] | None = None,
        owners: Sequence[str] | None = None,
    ) -> list[StrictAmi]:
        """Answers moto's own look-ups: by id or by the filter image-id."""
        if filters and "image-id" in filters:
            image = self.amis.get(filters["image-id"])
            return [image] if image else []
        return [self.get_image(each) for each in ami_ids or ()] or list(self.amis.values())


def _public_images(region: str) -> list[NewImage]:
    images = []
    for architecture, short in (("x86_64", "amd64"), ("arm64", "arm64")):
        for version, name in (("22.04", "jammy"), ("24.04", "noble")):
            disk = "ebs-gp3" if version == "24.04" else "ebs"
            path = "hvm-ssd-gp3" if version == "24.04" else "hvm-ssd"
            full = f"ubuntu/images/{path}/ubuntu-{name}-{version}-{short}-server-20240801"
            images.append(
                NewImage(
                    name=full,
                    mappings=[_root("/dev/sda1", region, full)],
                    description=f"Canonical, Ubuntu, {version} LTS, {short} {name}, {disk}",
                    architecture=architecture,
                    boot_mode="uefi-preferred" if short == "amd64" else "uefi",
                    owner_id=CANONICAL,
                    public=True,
                    image_id=public_image_id(region, version, short),
                    created_at=datetime(2024, 8, 1, tzinfo=UTC),
                )
            )
        full = f"al2023-ami-2023.5.20240805.0-kernel-6.1-{architecture}"
        images.append(
            NewImage(
                name=full,
                mappings=[_root("/dev/xvda", region, full)],
                description=f"Amazon Linux 2023 AMI 2023.5 {architecture} HVM kernel-6.1",
                architecture=architecture,
                root_device_name="/dev/xvda",
                boot_mode="uefi-preferred",
                owner_id=AMAZON,
                owner_alias="amazon",
                public=True,
                image_id=public_image_id(region, "al2023", short),
                created_at=datetime(2024, 8, 5, tzinfo=UTC),
            )
        )
    return images


def _root(device: str, region: str, name: str) -> dict[str, Any]:
    return {
        "DeviceName": device,
        "Ebs": {
            "SnapshotId": stable_id("snap", region, name),
            "VolumeSize": 8,
            "VolumeType": "gp3",
            "DeleteOnTermination": True,
            "Encrypted": False,
        },
    }


def public_image_id(region: str, version: str, architecture: str) -> str:
    """Answers the id of a public image, of ``24.04``, ``22.04`` or ``al2023``."""
    return stable_id("ami", region, version, architecture)
