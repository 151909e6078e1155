"""What is asked of AWS? Component resources, one a file, each beside the planner that it uses."""
