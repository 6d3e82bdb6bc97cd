"""What backbones of segmentors are made of, as values."""
