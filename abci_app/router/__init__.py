"""The reference router: watches origin chains, checks a transfer, signs Connext's bid, submits it, remembers it.

``client.py`` is the client library for routers that bring their own agent.
"""
