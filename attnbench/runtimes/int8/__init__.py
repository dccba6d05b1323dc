"""What int8 needs: the tool that quantises a file, and images to take its ranges from."""
