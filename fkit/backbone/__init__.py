"""What backbones of both backends share: their plans, as values."""
