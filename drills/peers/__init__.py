"""Other software that manages a PostgreSQL pair, on the same hosts, under the same load and faults. In the lab only."""
