"""What is stored of trainings: recipes, the lines of ``trainings.jsonl``, and the file."""
