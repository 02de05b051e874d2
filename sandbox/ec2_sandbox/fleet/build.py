"""Makes a fleet's instances, volumes and snapshots in the world."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instances import Instance, Reservation

from ec2_sandbox.corrections import ACCOUNT_ID
from ec2_sandbox.corrections.ids import stable_id
from ec2_sandbox.corrections.images import NewImage, public_image_id
from ec2_sandbox.corrections.kms import default_key
from ec2_sandbox.corrections.snapshot import Lock, NewSnapshot, StrictSnapshot
from ec2_sandbox.corrections.volumes import SHARED_TYPES, NewVolume
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.fleet.history import Laid, past_snapshots, variables
from ec2_sandbox.fleet.read import names_of
from ec2_sandbox.fleet.spec import FleetSpec, InstanceSpec, SnapshotSpec, VolumeSpec
from ec2_sandbox.hosts.devices import is_nitro
from ec2_sandbox.hosts.template import USER
from ec2_sandbox.hosts.wishes import FileSystem, Wish
from ec2_sandbox.region_names import WITHOUT_OPT_IN, check_names

if TYPE_CHECKING:
    from ec2_sandbox.hosts.hosts import Hosts
    from ec2_sandbox.world import World

LOCK_DAYS = 365
#: the key pair of instances with real bodies that are not told another
KEY_NAME = "sandbox"


class Builder:
    """Lays one fleet out."""

    def __init__(self, world: World, fleet: FleetSpec) -> None:
        self.world = world
        self.fleet = fleet
        self.laid: dict[tuple[str, str], Laid] = {}

    def _backend(self, region: str) -> Any:
        return self.world.backend(region, self.fleet.account or ACCOUNT_ID)

    def build(self) -> dict[str, Any]:
        """Lays it all out; answers the ids of instances and volumes."""
        settings = dict(self.fleet.settings)
        if self.fleet.enabled_regions is not None:
            settings["enabled_regions"] = list(self.fleet.enabled_regions)
        if self.fleet.now is not None:
            settings["now"] = self.fleet.now
        changed = self.world.settings.changed(settings)
        check_names(changed.enabled_regions, changed.default_region)
        with self.world.lock:
            self._check_names(changed.enabled_regions or WITHOUT_OPT_IN)
            self.world.configure(changed)
            if self.fleet.now is not None:
                self.world.clock.set(now=self.fleet.now)
            now = self.world.clock.now()
            for region, spec in self.fleet.regions.items():
                for instance in spec.instances:
                    self._instances(region, instance)
            for laid in self.laid.values():
                backend = self._backend(laid.region)
                for snapshots in past_snapshots(laid, now):
                    self._past(backend, snapshots, now)
            for region, spec in self.fleet.regions.items():
                for number, snapshot in enumerate(spec.snapshots):
                    self._loose(region, number, snapshot, now)
        return self._layout()

    def _layout(self) -> dict[str, Any]:
        layout: dict[str, Any] = {region: {} for region in self.fleet.regions}
        for (region, name), laid in self.laid.items():
            layout[region][name] = {
                "instance_id": laid.instance.id,
                "volumes": {device: volume.id for device, volume in laid.volumes.items()},
                **self._access(laid),
            }
        return layout

    def _access(self, laid: Laid) -> dict[str, str]:
        """Answers how to log in, where instances are real."""
        hosts = self.world.hosts
        if hosts is None:
            return {}
        return {
            "address": laid.instance.private_ip,
            "user": USER,
            "key_file": str(hosts.key_file),
        }

    def _check_names(self, enabled: Collection[str]) -> None:
        """Refuses a fleet that is there already, volumes it has not, regions not enabled."""
        problems = [
            f"regions.{region}: it is not enabled"
            for region in self.fleet.regions
            if region not in enabled
        ]
        devices: set[str] = set()
        for region, spec in self.fleet.regions.items():
            known = self._backend(region).index()
            zones = _zones(self._backend(region))
            homes: dict[str, str] = {}
            for instance in spec.instances:
                if instance.zone and instance.zone not in zones:
                    problems.append(f"{region} has no zone {instance.zone}")
                for number, name in enumerate(names_of(instance)):
                    homes[name] = _zone_of(instance, number, zones)
                    problems += _out_of_reach(region, name, instance, homes)
                    if stable_id("i", region, name) in known:
                        problems.append(f"{region} has an instance {name} of a fleet already")
                    own = {instance.root_device_name, *(v.device for v in instance.volumes)}
                    devices.update(f"{region}/{name}:{device}" for device in own)
        for region, spec in self.fleet.regions.items():
            for number, snapshot in enumerate(spec.snapshots):
                named = _full_name(region, snapshot.volume)
                if named and named not in devices:
                    at = f"regions.{region}.snapshots[{number}].volume"
                    problems.append(f"{at}: the fleet has no {named}")
        if problems:
            raise SandboxError("fleet: " + "; ".join(problems))

    def _instances(self, region: str, spec: InstanceSpec) -> None:
        backend = self._backend(region)
        zones = _zones(backend)
        for number, name in enumerate(names_of(spec)):
            zone = _zone_of(spec, number, zones)
            laid = Laid(region, name, spec, self._instance(backend, region, name, spec, zone))
            laid.instance.key_name = spec.key_name
            self.laid[region, name] = laid
            for volume in _with_root(spec):
                laid.volumes[volume.device] = (
                    self._shared(backend, laid, volume)
                    if volume.shares
                    else self._volume(backend, laid, volume, zone)
                )
            if spec.state == "stopped":
                laid.instance.stop()
            if self.world.hosts is not None:
                self._embody(self.world.hosts, backend, laid)

    @staticmethod
    def _embody(hosts: Hosts, backend: Any, laid: Laid) -> None:
        """Gives an instance its body; it boots unless it is stopped."""
        spec = laid.spec
        laid.instance.key_name = spec.key_name or KEY_NAME
        if laid.instance.key_name not in backend.key_pairs:
            backend.import_key_pair(laid.instance.key_name, hosts.public_key.encode(), {})
        wish = Wish(
            init=spec.init,
            syslog=spec.syslog,
            partitioned=any(volume.partitioned for volume in spec.volumes),
            authorized_keys=spec.authorized_keys,
            file_systems=[
                FileSystem(
                    laid.volumes[volume.device].id,
                    volume.filesystem,
                    volume.label,
                    volume.mount_point,
                )
                for volume in spec.volumes
                if volume.filesystem
            ],
        )
        hosts.launched(laid.instance, wish, start=spec.state == "running")

    def _instance(self, backend: Any, region: str, name: str, spec: InstanceSpec, zone: str) -> Any:
        short = "arm64" if spec.architecture == "arm64" else "amd64"
        image = public_image_id(region, "24.04", short)
        instance = Instance(
            backend,
            image,
            None,
            [],
            instance_type=spec.type,
            region_name=region,
            placement=zone,
        )
        instance.id = stable_id("i", region, name)
        instance.architecture = spec.architecture
        instance.root_device_name = spec.root_device_name
        instance.virtualization_type = spec.virtualization_type
        instance.boot_mode = spec.boot_mode
        instance.ena_support = spec.ena_support
        reservation = Reservation(stable_id("r", region, name), backend.account_id)
        reservation.instances.append(instance)
        backend.take_in(reservation)
        backend.set_tags(instance.id, _given({"Name": name, **spec.tags}))
        return instance

    @staticmethod
    def _volume(backend: Any, laid: Laid, spec: VolumeSpec, zone: str) -> Any:
        key = default_key(laid.region, backend.account_id) if spec.encrypted else None
        volume = backend.add_volume(
            NewVolume(
                size=spec.size,
                zone=zone,
                volume_type=spec.type,
                encrypted=spec.encrypted,
                kms_key_id=key,
                iops=3000 if spec.type in SHARED_TYPES else None,
                multi_attach=spec.multi_attach,
                volume_id=stable_id("vol", laid.region, laid.name, spec.device),
            )
        )
        backend.set_tags(volume.id, _given(spec.tags))
        backend.attach_volume(volume.id, laid.instance.id, spec.device, spec.delete_on_termination)
        return volume

    def _shared(self, backend: Any, laid: Laid, spec: VolumeSpec) -> Any:
        """Attaches a volume of another instance to one more."""
        owner, _, device = str(spec.shares).partition(":")
        volume = self.laid[laid.region, owner].volumes[device]
        backend.attach_volume(volume.id, laid.instance.id, spec.device, spec.delete_on_termination)
        return volume

    def _past(self, backend: Any, snapshots: list[Any], now: datetime) -> None:
        made = []
        for past in snapshots:
            snapshot = backend.add_snapshot(past.new)
            self._set_state(snapshot, past.state, past.state_message, now)
            made.append(snapshot)
        if len(made) > 1 and snapshots[0].new.of_set:
            for snapshot in made:
                snapshot.set_members = made

    def _set_state(
        self, snapshot: StrictSnapshot, state: str, message: str | None, now: datetime
    ) -> None:
        if state == "completed":
            return
        snapshot.completed_at = None
        snapshot.status = state
        if state == "error":
            snapshot.state_message = message or "Internal error"
        else:
            seconds = self.world.settings.snapshot_seconds
            self.world.lifecycle.begin(snapshot, now + timedelta(seconds=seconds), None)

    def _loose(self, region: str, number: int, spec: SnapshotSpec, now: datetime) -> None:
        backend = self._backend(region)
        started = spec.age.before(now)
        set_id = f"set-{stable_id('x', region, number, 'loose')[2:]}"
        of, values = self._of(region, spec, started, set_id)
        volume_id = spec.volume_id or (of.id if of else stable_id("vol", region, number, "gone"))
        snapshot = backend.add_snapshot(
            NewSnapshot(
                volume_id=volume_id,
                volume_size=spec.size or of.size,
                description=spec.description.substitute(values),
                tags={key: value.substitute(values) for key, value in spec.tags.items()},
                encrypted=spec.encrypted,
                kms_key_id=default_key(region, backend.account_id) if spec.encrypted else None,
                owner_id=spec.owner,
                snapshot_id=_free_id(backend, region, number, volume_id, "loose"),
                start_time=started,
            )
        )
        self._set_state(snapshot, spec.state, spec.state_message, now)
        if spec.owner and spec.owner != backend.account_id:
            snapshot.create_volume_permission_groups.add("all")
        if spec.archived:
            backend.modify_snapshot_tier(snapshot.id, "archive")
        if spec.locked:
            until = now + timedelta(days=LOCK_DAYS)
            snapshot.lock = Lock(spec.locked, now, until, LOCK_DAYS)
        if spec.used_by_ami:
            _use_in_image(backend, snapshot, spec)

    def _of(
        self, region: str, spec: SnapshotSpec, started: datetime, set_id: str
    ) -> tuple[Any, Mapping[str, str]]:
        """Answers the volume that a loose snapshot is of, and its templates' variables."""
        named = _full_name(region, spec.volume)
        if not named:
            values = variables(None, "", started, set_id, 1)
            values |= {"region": region, "volume_id": spec.volume_id or ""}
            return None, values
        where, _, rest = named.partition("/")
        name, _, device = rest.partition(":")
        laid = self.laid[where, name]
        return laid.volumes[device], variables(laid, device, started, set_id, 1)


def _zones(backend: Any) -> list[str]:
    return [zone.name for zone in backend.describe_availability_zones()]


def _zone_of(spec: InstanceSpec, number: int, zones: Sequence[str]) -> str:
    """Answers the zone of one of the instances that a spec lays out."""
    return spec.zone or zones[number % len(zones)]


def _out_of_reach(
    region: str, name: str, spec: InstanceSpec, homes: Mapping[str, str]
) -> Iterator[str]:
    """Answers why an instance can't have the volumes that it shares."""
    for volume in spec.volumes:
        owner = (volume.shares or "").partition(":")[0]
        if owner and homes[owner] != homes[name]:
            yield f"{region}: {name} is in {homes[name]}, and {volume.shares} in {homes[owner]}"
        shared = owner or volume.multi_attach
        if shared and not is_nitro(spec.type, spec.virtualization_type):
            yield f"{region}: {name} can't have {volume.device}: {spec.type} is no Nitro type"


def _free_id(backend: Any, *names: object) -> str:
    """Makes an id of names that no snapshot has yet; fleets laid out one by one may share them."""
    number, found = 0, stable_id("snap", *names)
    while found in backend.snapshots:
        number += 1
        found = stable_id("snap", *names, number)
    return found


def _use_in_image(backend: Any, snapshot: StrictSnapshot, spec: SnapshotSpec) -> None:
    image_id = stable_id("ami", backend.region_name, spec.used_by_ami)
    image = backend.amis.get(image_id)
    if image is None:
        image = backend.add_image(
            NewImage(
                name=str(spec.used_by_ami),
                mappings=[],
                image_id=image_id,
                disabled=spec.disabled_ami,
                created_at=snapshot.start_time,
            )
        )
    device = "/dev/sda1" if not image.mappings else f"/dev/sd{chr(101 + len(image.mappings))}"
    ebs = {"SnapshotId": snapshot.id, "VolumeSize": snapshot.volume_size, "VolumeType": "gp3"}
    image.mappings.append({"DeviceName": device, "Ebs": ebs})


def _with_root(spec: InstanceSpec) -> list[VolumeSpec]:
    """Answers an instance's volumes; a root one of 8 GiB first where the file names none."""
    volumes = list(spec.volumes)
    if spec.root_device_name not in [volume.device for volume in volumes]:
        volumes.insert(0, VolumeSpec(spec.root_device_name, delete_on_termination=True))
    return volumes


def _given(tags: Mapping[str, str | None]) -> dict[str, str]:
    """Answers the tags that have a value."""
    return {key: value for key, value in tags.items() if value is not None}


def _full_name(region: str, volume: str | None) -> str | None:
    """Answers a volume's name with its region: ``us-east-1/web-1:/dev/sdf``."""
    if volume is None:
        return None
    before = volume.partition(":")[0]
    return volume if "/" in before else f"{region}/{volume}"
