"""Python config files as data: an evaluator over the AST, and the one table of what a file may call."""
