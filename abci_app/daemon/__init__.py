"""What every process of ours stands on: files, keys, the home folder, the log. It imports nothing else of ours."""
