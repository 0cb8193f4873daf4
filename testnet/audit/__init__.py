"""The balance checker: expectations from raw logs, answers from the chains' state; shares nothing with the machine."""
