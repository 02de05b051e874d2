"""Real hosts: instances that boot, with an sshd, on volumes that are block devices.

:mod:`.hosts` is what the API's calls do to them; :mod:`.machine` is one instance's body, booted by
``boot.sh`` and ``init.sh``; :mod:`.pool` has the files of volumes and snapshots, :mod:`.template`
the root file system, :mod:`.loops` and :mod:`.partitions` make devices of files, :mod:`.devices`
shows them inside; :mod:`.network` is the switch; :mod:`.userdata` what cloud-init would do;
:mod:`.sweep` leaves nothing behind; :mod:`.handle` and :mod:`.control` are for tests.
"""
