"""The balance checker, pointed at a local network's chains."""

from testnet import chains, checks
from testnet.deployment import Deployment
from testnet.endpoints import load_gates
from testnet.layout import Layout


def audit(layout: Layout, deployment: Deployment) -> checks.Report:
    """Check every balance on both chains, from raw logs. Raises NetworkError, OSError, ValueError."""
    gates = load_gates(layout)
    places = {
        deployed.domain: checks.Place(
            deployed.domain, chains.rpc_url(deployed.rpc_port), "0x" + deployed.connext.hex(),
            "0x" + gates[deployed.domain].hex(),
            {symbol: "0x" + token.address.hex() for symbol, token in deployed.tokens.items()},
        )
        for deployed in deployment.domains
    }
    homes = {symbol: token.canonical_domain for symbol, token in deployment.hub.tokens.items()}
    return checks.check_network(places, homes)
