"""Assignment of transfers to routers: auctions, attempts, leases, holds, and removal of finished records."""
