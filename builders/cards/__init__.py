"""What people look at: the dataset card and the contact sheet."""
