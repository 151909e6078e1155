"""What is asked of AWS? Component resources, one in each file, beside the planners that they use."""
