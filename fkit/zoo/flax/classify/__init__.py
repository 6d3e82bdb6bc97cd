"""Classification: heads and necks with layers."""
