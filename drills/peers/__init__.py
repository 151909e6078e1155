"""Other software that keeps a PostgreSQL pair, on the same hosts, under the same load and faults. In the lab only."""
