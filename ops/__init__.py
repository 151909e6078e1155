"""How is it kept running? Operations on a running estate, on AWS or in the lab alike; `ha` is their command line."""
