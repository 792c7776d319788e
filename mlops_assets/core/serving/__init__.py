"""What champions predicted, as captured, and what came true."""
