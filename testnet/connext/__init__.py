"""The complete Connext on local chains: contracts, deployment, token supply and the message layer."""
