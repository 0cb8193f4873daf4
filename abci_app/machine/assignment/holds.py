"""Holds of lanes, and the lane clock that excludes held blocks (LSE-6)."""

from dataclasses import replace

from abci_app.machine.decisions.batches import drop_dead_entries, list_unattested_entries
from abci_app.machine.params import LIVE_UNATTESTED_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.state.records import Domain, DomainStatus, Lane, Reference
from abci_app.machine.state.view import StateReader


def update_holds(scope: Scope) -> None:
    """Compute every lane's hold for the rest of the block, after its segments."""
    delta = scope.delta
    domains = {domain.domain: domain for _, domain in delta.scan(keys.domains(), Domain)}
    drop_dead_entries(delta)
    congested = len(list_unattested_entries(delta)) > LIVE_UNATTESTED_MAX
    for key, lane in list(delta.scan(keys.lanes(), Lane)):
        held = congested or is_blocked(scope, lane, domains[lane.origin], domains[lane.destination])
        if held and not lane.held:
            delta.write(key, replace(lane, held=True, held_since=scope.height))
        elif lane.held and not held:
            blocks = scope.height - lane.held_since
            delta.write(key, replace(lane, held=False, held_since=0, held_blocks=lane.held_blocks + blocks))


def is_blocked(scope: Scope, lane: Lane, origin: Domain, destination: Domain) -> bool:
    """Tell whether a lane, its domains or a stale destination cursor forbids decisions on the lane."""
    is_open = lane.status is origin.status is destination.status is DomainStatus.OPEN
    is_stale = scope.time_s - destination.cursor.timestamp_s > scope.params.stale_after_s
    return not is_open or is_stale or destination.connext_paused


def is_held(state: StateReader, origin: DomainId, destination: DomainId) -> bool:
    """Tell whether the lane is held in this block."""
    return state.must(keys.lane(origin, destination), Lane).held


def list_free_lanes(state: StateReader) -> list[Lane]:
    """Return the lanes that are not held in this block, by origin and destination."""
    return [lane for _, lane in state.scan(keys.lanes(), Lane) if not lane.held]


def list_undecided(state: StateReader) -> list[TransferId]:
    """Return the undecided transfers of all lanes that are not held, by acceptance number.

    Transfers of held lanes are skipped without being read, so one halted chain's backlog costs other lanes nothing.
    """
    found = {}
    for lane in list_free_lanes(state):
        for key, reference in state.scan(keys.open_transfers(lane.origin, lane.destination), Reference):
            _, _, acceptance = keys.parse_open_transfer(key)
            found[acceptance] = reference.transfer_id
    return [found[acceptance] for acceptance in sorted(found)]


def get_lane_clock(state: StateReader, origin: DomainId, destination: DomainId, height: int) -> int:
    """Return the lane's clock at ``height``: the number of blocks in which it was not held."""
    lane = state.must(keys.lane(origin, destination), Lane)
    return height - lane.held_blocks - (height - lane.held_since if lane.held else 0)
