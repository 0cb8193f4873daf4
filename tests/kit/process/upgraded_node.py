"""A stand-in node of the next release: it knows one more version of the rules, and has it begin at HEIGHT.

    python -m tests.kit.process.upgraded_node HOME OBSERVED.json
"""

from abci_app.machine import upgrades
from abci_app.machine.upgrades import APP_VERSION, Upgrade
from tests.kit.process.counter_network import CHAIN_ID
from tests.kit.process.stand_in_node import main

HEIGHT = 8
NEXT_VERSION = APP_VERSION + 1

if __name__ == "__main__":
    upgrades.APP_VERSION = NEXT_VERSION
    upgrades.UPGRADES = {CHAIN_ID: (Upgrade(HEIGHT, NEXT_VERSION),)}
    main()
