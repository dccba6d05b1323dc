"""One file an output format: Markdown, LaTeX, HTML."""
