# SPDX-License-Identifier: BSD-3-Clause
"""Keywords that ipyparallel's Cluster and Client have: which are the same here, which are ignored, which refused."""
from __future__ import annotations

import warnings
from typing import Any

#: What belongs to a hub, to sockets, or to IPython's folders.
_IGNORED = {
    "Cluster": frozenset(
        "cluster_file config controller_args controller_ip controller_location delay engine_timeout ipython_dir "
        "load_profile log log_level parent profile_config profile_dir send_engines_connection_env".split()
    ),
    "Client": frozenset(
        "adapt_version bsession buffer_threshold check_pid config context copy_threshold debug digest_history_size "
        "ipython_dir item_threshold key keyfile log metadata packer parent profile_dir session signature_scheme "
        "unpacker username".split()
    ),
}
_SSH = ("sshserver", "sshkey", "password", "paramiko")
_LAUNCHERS = ("engines", "controller", "engine_launcher_class", "controller_launcher_class")
#: What of them may be MPI's, which pxrun has too: the setting `engines`.
_OF_ENGINES = ("engines", "engine_launcher_class")
_warned: set[tuple[str, str]] = set()


def pool_name(profile: str | None, cluster_id: str | None) -> str | None:
    """The name of a pool that was given as a profile or as a cluster_id; ValueError: as both."""
    if profile and cluster_id:
        raise ValueError(f"a pool has one name: give profile={profile!r} or cluster_id={cluster_id!r}, not both")
    return profile or cluster_id or None


def without_foreign(owner: str, given: dict[str, Any]) -> dict[str, Any]:
    """Keywords without those of ipyparallel that have no meaning here.

    Warns of each that is ignored, once. ValueError for what asks for another machine.

    Parameters
    ----------
    owner : {'Cluster', 'Client'}
    """
    ignored: list[str] = []
    left: dict[str, Any] = {}
    for name, value in given.items():
        if owner == "Client" and name in _SSH:
            _refuse_ssh(name, value)
        elif owner == "Cluster" and name == "engines" and str(value).isdigit():
            raise TypeError(f"Cluster() got engines={value!r}, did you mean 'n'? engines is 'local' or 'mpi'")
        elif owner == "Cluster" and name in _LAUNCHERS:
            left |= _launcher(name, value)
        elif name in _IGNORED[owner]:
            ignored += [name] if value is not None else []
        else:
            left[name] = value
    _warn_of(owner, [name for name in ignored if (owner, name) not in _warned])
    return left


def _warn_of(owner: str, names: list[str]) -> None:
    if not names:
        return
    _warned.update((owner, name) for name in names)
    without = "has no meaning" if len(names) == 1 else "have no meaning"
    warnings.warn(f"{owner} ignores {', '.join(names)}: that {without} for a pool on one machine", stacklevel=4)


def _refuse_ssh(name: str, value: Any) -> None:
    if value:
        raise ValueError(f"{name}={value!r}: pxrun attaches to pools of this machine only; run the script on the other one")


def _launcher(name: str, value: Any) -> dict[str, str]:
    """'local' and 'mpi', and ipyparallel's classes of them, such as MPIEngineSetLauncher, as the setting `engines`."""
    word = value if isinstance(value, str) else getattr(value, "__name__", None)
    kind = "local" if value is None else (word or "").rpartition(".")[2].lower()
    if kind.startswith("local"):
        return {"engines": "local"} if name == "engines" and value is not None else {}
    if kind.startswith("mpi") and name in _OF_ENGINES:
        return {"engines": "mpi"}
    may = "'local' or 'mpi'" if name in _OF_ENGINES else "'local'"
    raise ValueError(f"{name}={value!r}: pxrun starts engines on this machine, by itself or by mpiexec: {name} can only be {may}")
