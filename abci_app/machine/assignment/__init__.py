"""Who serves a transfer and until when: auctions, attempts, leases, holds, removal of what is over."""
