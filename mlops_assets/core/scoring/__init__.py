"""What a model is given and what it answers: its signature, and casts that lose nothing."""
