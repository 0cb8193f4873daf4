"""The balance checker, pointed at a local network's chains."""

from collections.abc import Mapping

from testnet.audit import checks
from testnet.chains import anvil
from testnet.connext.deployment import Deployment
from testnet.network.endpoints import load_gates
from testnet.network.layout import Layout, NetworkError


def audit(
    layout: Layout, deployment: Deployment, recorders: Mapping[int, tuple[bytes, ...]] | None = None
) -> checks.Report:
    """Check every balance on both chains, from raw logs, and the calls that ``recorders`` (by domain) kept.

    Raises NetworkError, OSError.
    """
    gates = load_gates(layout)
    places = {
        deployed.domain: checks.Place(
            deployed.domain, anvil.rpc_url(deployed.rpc_port), "0x" + deployed.connext.hex(),
            "0x" + gates[deployed.domain].hex(),
            {symbol: "0x" + token.address.hex() for symbol, token in deployed.tokens.items()},
            tuple("0x" + recorder.hex() for recorder in (recorders or {}).get(deployed.domain, ())),
        )
        for deployed in deployment.domains
    }
    homes = {symbol: token.canonical_domain for symbol, token in deployment.hub.tokens.items()}
    try:
        return checks.check_network(places, homes)
    except ValueError as error:  # a chain's refusal
        raise NetworkError(f"balances cannot be checked: {error}") from error
