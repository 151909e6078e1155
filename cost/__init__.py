"""What does it cost? Prices (data), the estimate (pure), the report."""
