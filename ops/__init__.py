"""How is it kept running? A library of operations on a running estate, on AWS or in the lab."""
