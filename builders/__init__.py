"""What is done to records, by subject. Plain Python: no Ray, no command line."""
