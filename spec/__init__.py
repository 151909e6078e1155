"""What was asked for? Settings and the plan that follows from them: plain data, without Pulumi and without AWS."""
