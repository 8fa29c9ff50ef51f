"""The machine: programs, console, files, locks, network, pip; every side effect goes through here."""
