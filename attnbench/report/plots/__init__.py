"""Every plot, drawn with matplotlib and rendered as SVG and PNG."""
