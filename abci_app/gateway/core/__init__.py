"""Queries and submission without a transport: no gRPC and no message of it is known here."""
