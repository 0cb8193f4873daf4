"""Up, down, stop, start: a local network of chains, validators, routers and one relayer, all under one home."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from testnet.chains import chain_parts
from testnet.hints import routerd, show
from testnet.network import endpoints, homes
from testnet.network.creation import Say, create
from testnet.network.layout import (
    ENGINE,
    Layout,
    NetworkError,
    load_finished,
    load_layout,
    make_manifest,
    refuse_other,
    save_manifest,
)
from testnet.network.parties import begin_party
from testnet.network.validators import begin_validator
from testnet.processes.ports import is_port_free
from testnet.processes.spawn import end, is_running, load_identities, uninterrupted
from testnet.processes.supervise import PARTS

READY_S = 60.0
READY_HEIGHT = 3


def up(home: Path, base_port: int | None, validators: int | None, say: Say, anew: bool = False) -> Layout:
    """Bring a network up, new or what is down of it; return once ``endpoints.json`` is written. Raises NetworkError.

    ``anew``: one that is there and does not run is removed, and a new one takes its place.
    """
    if not ENGINE.exists():
        raise NetworkError(f"{ENGINE} is missing: run scripts/setup")
    with homes.locked(home, make=True):
        found = homes.find_network(home)
        if found is None or anew or not found.manifest.complete:
            return _up_new(home, found, base_port, validators, say)
        refuse_other(found, base_port, validators)
        _up_again(found, say)
        return found


def down(home: Path) -> list[str]:
    """End every process of the network, chains last and saved; return the names of those that ran."""
    with homes.locked(home):
        layout = load_layout(home)
        running = [name for name, identity in load_identities(layout.pids).items() if is_running(identity)]
        with uninterrupted():
            _end_parts(layout, layout.names())
        layout.endpoints.unlink(missing_ok=True)
    return running


def stop(home: Path, name: str) -> None:
    """End one validator, router, relayer or chain. Raises NetworkError where it does not run."""
    with homes.locked(home), uninterrupted():
        layout = load_finished(home)
        if _known(layout, name) in _list_down(layout):
            raise NetworkError(f"{name} does not run")
        if name in layout.chains():
            chain_parts.save_chain(layout, name)
        end([load_identities(layout.pids)[name]])
        endpoints.renew(layout)


def start(home: Path, name: str) -> None:
    """Start one validator, router, relayer or chain that was stopped. Raises NetworkError where it runs."""
    layout = load_finished(home)
    with homes.locked(home):  # not while waiting: parts may be started at the same time
        if _known(layout, name) not in _list_down(layout):
            raise NetworkError(f"{name} runs already")
        _end_orphans(layout, [name])
        _check_ports(layout, [name])
        with _ended_on_failure(layout, [name]):
            wait = _begin(layout, name)
    with _ended_on_failure(layout, [name]):
        wait()
    endpoints.renew(layout)


# -- bringing up ------------------------------------------------------------------------------------------------------


def _up_new(home: Path, old: Layout | None, base_port: int | None, validators: int | None, say: Say) -> Layout:
    """Make a network, in the place of one that was never finished or does not run; failing that, leave neither."""
    unfinished = old is not None and not old.manifest.complete
    if old is not None and unfinished:
        base_port = old.manifest.base_port if base_port is None else base_port
        validators = old.manifest.validators if validators is None else validators
    layout = Layout(home, make_manifest(base_port, validators))
    if old is not None:
        if not unfinished:
            _refuse_running(old, len(old.names()) - len(_list_down(old)))
        _end_parts(old, old.names())
    _check_ports(layout, layout.names())
    if old is not None:
        _remove(old)
    with _ended_on_failure(layout, layout.names()):
        try:
            create(layout, say)
        except BaseException:
            with uninterrupted():
                _remove(layout)
            raise
        _start_all(layout, [name for name in layout.names() if name not in layout.chains()], say)
    return layout


def _up_again(layout: Layout, say: Say) -> None:
    """Start what is down of a network; what runs goes on running, whatever happens here."""
    missing = _list_down(layout)
    if not missing and layout.endpoints.exists():
        _refuse_running(layout, len(layout.names()))
    for name in missing:
        if name in layout.chains():
            chain_parts.refuse_lost(layout, name)
    _end_orphans(layout, missing)
    _check_ports(layout, missing)
    say(f"resuming the network in {show(layout.home)}: {len(missing)} of {len(layout.names())} parts are down")
    with _ended_on_failure(layout, missing):
        _start_all(layout, missing, say)


def _start_all(layout: Layout, missing: list[str], say: Say) -> None:
    """Start these parts in order, the chains first; endpoints.json is there once all are of use."""
    layout.endpoints.unlink(missing_ok=True)
    for name in layout.chains():
        if name in missing:
            chain_parts.resume_chain(layout, name)
        else:
            chain_parts.go_on(layout, name)
    nodes = [node.name for node in layout.nodes()]
    if validators := [name for name in missing if name in nodes]:
        say(f"validators: {len(validators)} pairs of application and CometBFT")
    for name in validators:
        _begin(layout, name)
    endpoints.wait_ready(layout, READY_HEIGHT, READY_S)
    if parties := [name for name in missing if name not in nodes and name not in layout.chains()]:
        say(f"relayer and routers: {len(parties)} processes")
    for wait in [_begin(layout, name) for name in parties]:
        wait()
    endpoints.refresh(layout)
    say(f"network is up: endpoints in {show(layout.endpoints)}")


def _begin(layout: Layout, name: str) -> Callable[[], None]:
    """Start a part; return what waits until it is at work."""
    if name in layout.chains():
        chain_parts.resume_chain(layout, name)
        return lambda: None
    for node in layout.nodes():
        if node.name == name:
            return begin_validator(layout, node)
    return begin_party(layout, name)


# -- ending -----------------------------------------------------------------------------------------------------------


def _end_parts(layout: Layout, names: Iterable[str]) -> None:
    """End parties and validators, so that nobody misses a chain; then chains, saved where the network is finished."""
    found = {name: identity for name, identity in load_identities(layout.pids).items() if is_running(identity)}
    # A supervisor ends its own children; those whose supervisor was killed are ended here.
    children = [found[child] for name in names for part in PARTS if (child := f"{name}-{part}") in found]
    parts = [found[name] for name in names if name in found]
    anvils = [identity for identity in parts if identity.name in layout.chains()]
    end(identity for identity in parts if identity not in anvils)
    end(children)
    complaints = []
    for identity in anvils if layout.manifest.complete else ():
        try:
            chain_parts.save_chain(layout, identity.name)
        except Exception as error:  # whatever ails the chain, it must end; `up` will say that it lost blocks
            complaints.append(f"{identity.name}: not saved: {error}")
    end(anvils)
    for complaint in complaints:
        with suppress(OSError):  # nobody may be reading any more
            print(complaint, file=sys.stderr)


def _remove(layout: Layout) -> None:
    """End what runs of a network and remove it; killed meanwhile, it is one that was never finished."""
    unfinished = replace(layout, manifest=replace(layout.manifest, complete=False))
    save_manifest(layout.home, unfinished.manifest)
    _end_parts(unfinished, layout.names())
    homes.remove_network(layout.home)


@contextmanager
def _ended_on_failure(layout: Layout, names: Iterable[str]) -> Iterator[None]:
    """End these parts, which are being started, when that fails or is interrupted."""
    try:
        yield
    except BaseException:
        with uninterrupted():
            _end_parts(layout, names)
        raise


def _end_orphans(layout: Layout, names: Iterable[str]) -> None:
    """End applications and CometBFTs that outlived their supervisor: the new ones could not have their ports."""
    found = load_identities(layout.pids)
    end(found[child] for name in names for part in PARTS if (child := f"{name}-{part}") in found)


# -- refusals ---------------------------------------------------------------------------------------------------------


def _list_down(layout: Layout) -> list[str]:
    """Return the names of the parts that do not run, in the order in which they start."""
    found = load_identities(layout.pids)
    return [name for name in layout.names() if name not in found or not is_running(found[name])]


def _refuse_running(layout: Layout, running: int) -> None:
    if running:
        hint = routerd("testnet", "down", "--home", layout.home)
        raise NetworkError(f"the network in {show(layout.home)} runs already ({running} parts); {hint} ends it")


def _check_ports(layout: Layout, names: Iterable[str]) -> None:
    for name in names:
        for port in layout.ports_of(name):
            if not is_port_free(port):
                raise NetworkError(f"port {port} is in use; choose another --base-port")


def _known(layout: Layout, name: str) -> str:
    if name not in layout.names():
        raise NetworkError(f"no {name!r} here; there are {', '.join(layout.names())}")
    return name
