"""Every table as data: captions, headings and rows of text."""
