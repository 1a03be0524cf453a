"""Speech: audio as samples, what is checked of it, units, and speech from text."""
