"""What is asked of AWS: the settings, the plan that follows from them, and one component resource a file."""
