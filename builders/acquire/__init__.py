"""Images from URLs: fetched politely and for certain, resized by img2dataset."""
