"""The command ``routerd``: one file a command, tables for people or ``--json`` for programs, no logic."""
